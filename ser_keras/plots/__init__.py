"""Pictures of results. The only package that imports matplotlib."""

from ser_keras.plots.results import (
    data_statistics,
    graph,
    label_curve,
    learning_curves,
    parallel_coordinates,
    similarity,
    study,
)

__all__ = [
    "data_statistics",
    "graph",
    "label_curve",
    "learning_curves",
    "parallel_coordinates",
    "similarity",
    "study",
]
