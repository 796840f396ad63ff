"""Ensembles into one SavedModel, which answers with the mean of its members' probabilities."""
