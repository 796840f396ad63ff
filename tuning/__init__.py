"""Searches for settings, by keras-tuner, on speakers that are in no test part."""
