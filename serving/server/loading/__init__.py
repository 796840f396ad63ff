"""What decides whether and when a version on disk may serve."""
