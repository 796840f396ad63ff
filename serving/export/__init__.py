"""Runs into SavedModels for TensorFlow Serving."""
