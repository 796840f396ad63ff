"""The feature specs as a layer: waveforms in, features out, inside the served graph.

What `features.extract` computes of one recording, this computes of a padded batch, from the same
windows, filters and transforms. `ser export` compares the two on real speech and refuses a model
whose served features are not the features it was trained on.
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from ser_keras.errors import ConfigError
from ser_keras.features.frames import FrameSpec
from ser_keras.features.graph_features import TWINS
from ser_keras.features.graph_frames import first
from ser_keras.features.specs import spec_from_dict


@keras.saving.register_keras_serializable("ser_keras")
class FrontEnd(keras.layers.Layer):
    """The features of each waveform of a batch, whatever it is batched with.

    Args:
        spec: FrameSpec, or its `to_dict`. What a frame is.

    Call arguments:
        waveform: float32 (batch, samples) at `spec.sample_rate_hz`. What lies behind an utterance's
            end does not matter.
        length: int (batch,). Samples of each utterance.

    Returns:
        features: float32 (batch, frames, spec.dim), 0 in the padding.
        mask: bool (batch, frames), True for real frames, which come first; at least one each.

    Example:
        >>> from ser_keras.features.specs import get_spec
        >>> front_end = FrontEnd(get_spec("logmel40"))
        >>> features, mask = front_end(ops.ones((2, 16000)), ops.array([9000, 1]))
        >>> features.shape[2], ops.sum(ops.cast(mask, "int32"), axis=1).numpy().tolist()
        (40, [54, 1])

    Departures: transforms in float64 except those of magnitudes, so it needs a backend that has it.
    """

    def __init__(self, spec: FrameSpec | Mapping[str, Any], **kwargs: Any):
        super().__init__(trainable=False, dtype="float32", **kwargs)
        self.spec = spec if isinstance(spec, FrameSpec) else spec_from_dict(spec)
        if self.spec.kind not in TWINS:
            raise ConfigError(
                f"front end: found features of the kind {self.spec.kind or '(none)'}, which a "
                f"model's graph cannot compute, expected one of {', '.join(TWINS)}. Export a model "
                "of such features."
            )

    def call(self, waveform: Any, length: Any) -> tuple[Any, Any]:
        """Returns features and mask."""
        waveform, length = _silent_behind_end(self.spec, waveform, length)
        features, mask, _ = self._features(*_trimmed(self.spec, waveform, length))
        return features, mask

    def of_stretch(self, waveform: Any, length: Any, loudest_db: Any) -> tuple[Any, Any, Any]:
        """Returns the features of a stretch of a longer recording, as the recording has them.

        A stretch is not trimmed, for its quiet ends are not those of the recording. Derivatives
        within four frames of where it was cut repeat its edge and are not the recording's.

        Args:
            waveform: as of a call.
            length: as of a call.
            loudest_db: float32 (batch,). The level that this returned for the recording so far;
                before there is one, any that is lower than all, such as -1000.

        Returns:
            features: as of a call.
            mask: as of a call.
            loudest_db: float32 (batch,). The highest mel level of the recording up to here, for
                MFCC whose `top_db` counts from it, once it is so high that it matters; of other
                features what was given.
        """
        return self._features(*_silent_behind_end(self.spec, waveform, length), loudest_db)

    def _features(self, waveform: Any, length: Any, loudest_db: Any = None) -> tuple[Any, Any, Any]:
        spec = self.spec
        size, hop = spec.vector_samples, spec.vector_hop_samples
        count = 1 + ops.maximum(length - size, 0) // hop
        pieces = ops.extract_sequences(waveform, size, hop)[:, : ops.max(count)]
        features, loudest_db = TWINS[spec.kind](spec, pieces, count, loudest_db)
        mask = first(count, ops.shape(features)[1])
        features = ops.where(mask[..., None], ops.cast(features, "float32"), 0.0)
        return features, mask, loudest_db

    def compute_output_shape(self, waveform_shape: Any, length_shape: Any) -> Any:
        """Returns the shapes of features and mask."""
        return (waveform_shape[0], None, self.spec.dim), (waveform_shape[0], None)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"spec": self.spec.to_dict(), "name": self.name}


def _silent_behind_end(spec: FrameSpec, waveform: Any, length: Any) -> tuple[Any, Any]:
    """Returns (waveform, length) with zeros behind each end, enough for one row at least."""
    samples = ops.shape(waveform)[1]
    length = ops.clip(ops.cast(length, "int32"), 0, samples)
    waveform = ops.where(first(length, samples), waveform, 0.0)
    return ops.pad(waveform, [(0, 0), (0, spec.vector_samples)]), length


def _trimmed(spec: FrameSpec, waveform: Any, length: Any) -> tuple[Any, Any]:
    """Returns (waveform, length) from the first loud frame of each to its last."""
    if spec.trim_db is None:
        return waveform, length
    frame, hop = spec.frame_samples, spec.hop_samples
    squares = ops.square(ops.cast(waveform, "float64"))
    sums = ops.pad(ops.cumsum(squares, axis=1), [(0, 0), (1, 0)])
    starts = ops.arange(0, ops.shape(waveform)[1] - frame + 1, hop)
    energy = ops.take(sums, starts + frame, axis=1) - ops.take(sums, starts, axis=1)
    whole = starts[None] <= length[:, None] - frame
    energy = ops.where(whole, energy, -1.0)
    threshold = ops.max(energy, axis=1, keepdims=True) * 10.0 ** (-spec.trim_db / 10.0)
    loud = ops.cast(whole & (energy >= threshold), "int32")
    begin = ops.argmax(loud, axis=1) * hop
    last = ops.max(loud * starts[None], axis=1)
    short = length < frame
    begin = ops.where(short, 0, ops.cast(begin, "int32"))
    length = ops.where(short, length, last + frame - begin)
    # What stands `begin` to the right; beyond the trimmed end nothing does.
    size = ops.shape(waveform)[1]
    positions = ops.minimum(begin[:, None] + ops.arange(size)[None], size - 1)
    shifted = ops.take_along_axis(waveform, positions, axis=1)
    return ops.where(first(length, size), shifted, 0.0), length
