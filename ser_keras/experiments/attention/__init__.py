"""What the attention of trained models does over the test parts of a run."""

from ser_keras.experiments.attention.contours import attended_contours
from ser_keras.experiments.attention.map_statistics import attention_statistics
from ser_keras.experiments.attention.sampling import sampled_by_emotion

__all__ = ["attended_contours", "attention_statistics", "sampled_by_emotion"]
