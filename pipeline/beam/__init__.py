"""Runs Beam jobs on the chosen runner, and translates their errors."""
