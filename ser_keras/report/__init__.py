"""Results of runs as tables, pages and Markdown."""
