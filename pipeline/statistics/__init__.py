"""Statistics of a feature set by Beam, the schema they must meet, anomalies and drift."""
