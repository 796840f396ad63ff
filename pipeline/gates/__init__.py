"""The gates that a model has to pass before it is pushed."""
