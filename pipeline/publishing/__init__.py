"""Atomic publishing of output folders, and hashes of their files."""
