"""The lineage of artifacts: records, their store, verification and garbage collection."""
