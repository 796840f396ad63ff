"""The verbs of `ser` that need Beam or the pipeline."""
