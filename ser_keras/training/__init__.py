"""Configuration, training, resume and evaluation."""
