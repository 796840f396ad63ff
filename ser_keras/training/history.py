"""The logs of a fold's epochs: which epoch is kept, and learning curves for TensorBoard."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def kept_epoch(history: Sequence[Mapping[str, float]]) -> int:
    """Returns the first epoch with the best validation UA; the last if none was validated.

    Args:
        history: the logs of every epoch.

    Example:
        >>> kept_epoch([{"valid_ua": 0.3}, {"valid_ua": 0.6}, {"valid_ua": 0.6}])
        1
    """
    values = [logs.get("valid_ua", epoch) for epoch, logs in enumerate(history)]
    return int(np.argmax(values))


def summary_writer(folder: Path) -> Any:
    """Returns the context in which `write_summary` writes to `folder`."""
    # Reports use `kept_epoch` and need no TensorFlow.
    import tensorflow as tf

    return tf.summary.create_file_writer(str(folder)).as_default()


def write_summary(writer: Any, epoch: int, logs: Mapping[str, float]) -> None:
    """Writes the logs of an epoch for TensorBoard."""
    import tensorflow as tf

    for name, value in logs.items():
        tf.summary.scalar(name, value, step=epoch)
    tf.summary.flush(writer)
