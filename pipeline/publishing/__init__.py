"""Results of a step appear as a whole or not at all."""
