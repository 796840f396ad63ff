"""Cuts utterances into segments of a fixed length, for the models that want one."""

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Segments:
    """How utterances are cut: windows of `frames` frames, one every `hop`, that hold every frame.

    The last window ends with the utterance, less than a hop behind the one before it, so that no
    frame is left out and no window holds padding. An utterance shorter than a window is one
    segment, as it is.

    Args:
        frames: int. Length of a window; 0 keeps utterances whole.
        hop: int. Frames between the starts of two windows, at most `frames`.

    Example:
        >>> [Segments(frames=200, hop=100).count(frames) for frames in (90, 200, 299, 300)]
        [1, 1, 2, 2]
    """

    frames: int = 0
    hop: int = 0

    def count(self, frames: int) -> int:
        """Returns the number of segments of an utterance of so many frames."""
        return 1 + max(0, -(-(frames - self.frames) // self.hop)) if self.frames else 1

    def cut(self, utterances: tf.data.Dataset) -> tf.data.Dataset:
        """Returns the segments of all utterances, in their order."""
        if not self.frames:
            return utterances

        def segments(example: dict[str, tf.Tensor]) -> tf.data.Dataset:
            features = example["features"]
            last = tf.maximum(0, tf.shape(features)[0] - self.frames)
            starts = tf.minimum(tf.range(0, last + self.hop, self.hop), last)
            return tf.data.Dataset.from_tensor_slices(starts).map(
                lambda start: example | {"features": features[start : start + self.frames]}
            )

        return utterances.flat_map(segments)


WHOLE = Segments()
