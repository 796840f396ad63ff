"""Cuts utterances into segments of a fixed length, for the models that want one."""

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Segments:
    """How utterances are cut: windows of `frames` frames, one every `hop`, that end inside.

    An utterance shorter than a window is one segment, as it is. What is left behind the last
    window, less than a hop, is not used.

    Args:
        frames: int. Length of a window; 0 keeps utterances whole.
        hop: int. Frames between the starts of two windows.

    Example:
        >>> [Segments(frames=200, hop=100).count(frames) for frames in (90, 200, 299, 300)]
        [1, 1, 1, 2]
    """

    frames: int = 0
    hop: int = 0

    def count(self, frames: int) -> int:
        """Returns the number of segments of an utterance of so many frames."""
        return 1 + max(0, frames - self.frames) // self.hop if self.frames else 1

    def cut(self, utterances: tf.data.Dataset) -> tf.data.Dataset:
        """Returns the segments of all utterances, in their order."""
        if not self.frames:
            return utterances

        def segments(example: dict[str, tf.Tensor]) -> tf.data.Dataset:
            features = example["features"]
            spare = tf.maximum(0, tf.shape(features)[0] - self.frames)
            starts = tf.data.Dataset.range(0, tf.cast(spare, tf.int64) + 1, self.hop)
            return starts.map(
                lambda start: example | {"features": features[start : start + self.frames]}
            )

        return utterances.flat_map(segments)


WHOLE = Segments()
