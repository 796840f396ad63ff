"""Speech emotion recognition with the attention systems of five papers: data, models, honest scores."""

__version__ = "0.1.0"
