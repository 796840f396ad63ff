"""The command line: the application, and the verbs of this package."""

from ser_keras.cli.app import main

__all__ = ["main"]
