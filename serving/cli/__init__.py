"""The verbs of `ser` for models that answer."""
