"""Statistics of a feature set by Beam, their schema, anomalies and drift."""
