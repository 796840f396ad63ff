"""Searches for settings, by keras-tuner, on speakers that no test part holds."""
