"""What the functionals of an utterance are computed with, for batches of padded utterances."""
