"""Pictures of results. The only package that imports matplotlib."""

from ser_keras.plots.corpus_attention import attended_frames, map_statistics, sampled_input
from ser_keras.plots.curves import label_curve, learning_curves
from ser_keras.plots.enrolment import enrolment_curve
from ser_keras.plots.pipeline import data_statistics, graph
from ser_keras.plots.report import (
    confusion,
    corpus_matrix,
    recall_by_speaker,
    reliability,
    scores_with_baselines,
    speaker_scores,
)
from ser_keras.plots.searches import parallel_coordinates, study

__all__ = [
    "attended_frames",
    "confusion",
    "corpus_matrix",
    "data_statistics",
    "enrolment_curve",
    "graph",
    "label_curve",
    "learning_curves",
    "map_statistics",
    "parallel_coordinates",
    "recall_by_speaker",
    "reliability",
    "sampled_input",
    "scores_with_baselines",
    "speaker_scores",
    "study",
]
