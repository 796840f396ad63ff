"""Feature definitions, their extraction, and their normalisation."""
