"""The experiments of the five papers, compared with the published numbers."""
