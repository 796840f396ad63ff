"""Models that the systems are compared with: those of their papers, and a dense network."""
