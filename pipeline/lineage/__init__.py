"""What was made from what: the store, its verification and its garbage collection."""
