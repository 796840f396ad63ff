"""Keras layers of the systems, one layer to a file."""
