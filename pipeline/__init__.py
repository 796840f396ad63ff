"""Apache Beam jobs that turn a corpus into a feature set."""
