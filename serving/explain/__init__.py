"""The attention of a model to a recording."""
