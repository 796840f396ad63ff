"""Corpora into feature sets: the Beam job, what it reads, and the shards that it writes."""
