"""Feature sets on disk: records, index, and the batches made of them."""
