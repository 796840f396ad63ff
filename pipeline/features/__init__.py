"""The Beam job that extracts features: the recordings it reads and the shards it writes."""
