"""Pipelines as data, and the runner that runs what is not cached."""
