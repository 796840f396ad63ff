"""Trainings over folds, corpora and amounts of labels, and what is measured of their runs."""
