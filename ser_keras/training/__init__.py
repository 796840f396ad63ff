"""Training of one fold: batches, optimizer, training step, checkpoints, several workers."""
