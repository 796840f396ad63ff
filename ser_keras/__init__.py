"""Speech emotion recognition with the attention systems of five papers, and honest scores."""

__version__ = "0.1.0"
