"""What a model attended to in a recording."""
