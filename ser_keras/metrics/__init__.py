"""Scores of a classifier: every function gets the classes, none guesses them from the labels.

All scores are functions of the confusion matrix `c`, where `c[t, p]` counts utterances of class `t`
said to be `p`, `N` is their number and `K` the number of classes. Classes that do not occur in
`y_true` are absent: averages over classes skip them, and `summarize` names them.
"""

from ser_keras.metrics.intervals import speaker_difference, speaker_interval
from ser_keras.metrics.scores import (
    METRICS,
    confusion_matrix,
    expected_calibration_error,
    macro_f1,
    mean_binary_accuracy,
    mean_binary_balanced_accuracy,
    recall_per_class,
    unweighted_accuracy,
    unweighted_accuracy_of,
    weighted_accuracy,
)
from ser_keras.metrics.summary import summarize

__all__ = [
    "METRICS",
    "confusion_matrix",
    "expected_calibration_error",
    "macro_f1",
    "mean_binary_accuracy",
    "mean_binary_balanced_accuracy",
    "recall_per_class",
    "speaker_difference",
    "speaker_interval",
    "summarize",
    "unweighted_accuracy",
    "unweighted_accuracy_of",
    "weighted_accuracy",
]
