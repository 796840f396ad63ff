"""Apache Beam jobs, and the pipeline that runs every step from corpus to published model."""
