"""Keras layers of the systems, one idea to a file."""
