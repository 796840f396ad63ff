"""The command line: the application, and the verbs of this package."""
