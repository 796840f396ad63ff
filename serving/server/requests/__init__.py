"""What a request holds and costs: read within limits, counted against the memory, and logged."""
