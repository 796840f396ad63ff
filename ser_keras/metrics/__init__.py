"""Scores of a classifier. Every function receives the number of classes; none infers it.

All scores are functions of the confusion matrix `c`, where `c[t, p]` counts utterances of class `t`
predicted as `p`, `N` is their number and `K` the number of classes. Classes that do not occur in
`y_true` are absent: averages over classes skip them, and `summarize` names them.
"""

from ser_keras.metrics.calibration import (
    cross_entropy,
    expected_calibration_error,
    fit_temperature,
    reliability,
    with_temperature,
)
from ser_keras.metrics.intervals import (
    NO_INTERVAL,
    RANGE_OF_TWO,
    interval_kind,
    mean_interval,
    speaker_difference,
    speaker_interval,
)
from ser_keras.metrics.scores import (
    METRICS,
    confusion_matrix,
    macro_f1,
    mean_binary_accuracy,
    mean_binary_balanced_accuracy,
    recall_per_class,
    recalls_of,
    unweighted_accuracy,
    unweighted_accuracy_of,
    weighted_accuracy,
)
from ser_keras.metrics.seeds import difference_over_seeds, mean_over_seeds, same_utterances
from ser_keras.metrics.summary import confusion_by_speaker, summarize

__all__ = [
    "METRICS",
    "NO_INTERVAL",
    "RANGE_OF_TWO",
    "confusion_by_speaker",
    "confusion_matrix",
    "cross_entropy",
    "difference_over_seeds",
    "expected_calibration_error",
    "fit_temperature",
    "interval_kind",
    "macro_f1",
    "mean_binary_accuracy",
    "mean_binary_balanced_accuracy",
    "mean_interval",
    "mean_over_seeds",
    "recall_per_class",
    "recalls_of",
    "reliability",
    "same_utterances",
    "speaker_difference",
    "speaker_interval",
    "summarize",
    "unweighted_accuracy",
    "unweighted_accuracy_of",
    "weighted_accuracy",
    "with_temperature",
]
