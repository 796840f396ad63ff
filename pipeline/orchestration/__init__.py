"""Pipelines as data, their YAML files, and the runner with its cache."""
