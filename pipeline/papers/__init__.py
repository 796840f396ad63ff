"""The experiments of the five papers, run and set beside the printed numbers."""
