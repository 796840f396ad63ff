"""The signatures of an export for the adapted track: enrol a speaker, then answer knowing them.

A speaker's statistics are count, mean and mean of squares of the frames, of the functionals and of
the embedding of all recordings. Those of frames and functionals come first: the embeddings are made
with them. Statistics of several recordings merge by weighted means, on the client's side:

1. `enrol` each recording; merge.
2. `enrol_embedding` each recording, with what 1. gave; merge.
3. `adapted` with both.

`serving.client.speaker_statistics` is such a client. A server keeps nothing of any speaker.
"""

import hashlib
import json
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from ser_keras.adaptation.functionals import functionals_layer
from ser_keras.adaptation.speakers import affine_of
from ser_keras.features.frames import FrameSpec
from ser_keras.layers.speaker_normalization import UNKNOWN
from ser_keras.training.checkpoint import weights_sha256
from serving.export.graph_inputs import checked_statistics, require
from serving.export.traced import traced_once

Outputs = dict[str, tf.Tensor]
EMBEDDING = "embedding_statistics"
# So many hexadecimal digits make a number that JavaScript, too, holds exactly.
ID_DIGITS = 13


class SpeakerInputs:
    """What a model takes of an utterance and its speaker beside the features.

    Args:
        model: keras.Model for which `takes_speakers` holds.
        spec: the features that the model was trained on.

    Attributes:
        sizes: dict of str to int. Values of each input of statistics.
    """

    def __init__(self, model: keras.Model, spec: FrameSpec):
        names = [name for name in model.input if name.endswith("_statistics")]
        self.sizes = {name: model.input[name].shape[-1] for name in sorted(names)}
        self._frame_affine = affine_of(model)
        self._functionals = None
        if "functionals" in model.input:
            layer = functionals_layer(spec)
            self._functionals = traced_once(
                lambda features, mask: layer(features, mask=mask),
                tf.TensorSpec((None, None, spec.dim), tf.float32),
                tf.TensorSpec((None, None), tf.bool),
            )
            self._functional_affine = affine_of(model, "functional_normalizer")

    def of(
        self, features: tf.Tensor, mask: tf.Tensor, statistics: Mapping[str, tf.Tensor]
    ) -> Outputs:
        """Returns the inputs of the model beside features and mask.

        Args:
            features: float32 (batch, frames, dim), not normalised.
            mask: bool (batch, frames).
            statistics: mapping of input to float32 (batch, 1 + 2 dim); nothing is known where one
                is left out.
        """
        rows = tf.shape(mask)[0]
        inputs = {
            name: statistics[name] if name in statistics else tf.zeros((rows, size))
            for name, size in self.sizes.items()
        }
        inputs["speaker"] = tf.fill((rows,), UNKNOWN)
        if self._functionals is not None:
            inputs["functionals"] = self._functionals(features, mask)
        return inputs

    def moments(self, features: tf.Tensor, mask: tf.Tensor) -> Outputs:
        """Returns the statistics of frames and functionals of each recording, float32."""
        values = _standardized(features, self._frame_affine)
        moments = {"frame_statistics": _moments(values, mask)}
        if self._functionals is not None:
            rows = self._functionals(features, mask)
            moments["functional_statistics"] = _moment(_standardized(rows, self._functional_affine))
        return moments


class SpeakerSignatures:
    """The signatures `enrol`, `enrol_embedding` and `adapted`.

    Args:
        model: keras.Model for which `takes_speakers` holds.
        spec: the features that the model was trained on.
        least_s: float. A speaker with less speech than this gets the blind answer.

    Attributes:
        export_id: int. See `export_id_of`.

    Departures: seconds of speech are counted by frames, since statistics hold no seconds. For one
        recording that is exact; several short ones have a few frames less.
    """

    def __init__(self, model: keras.Model, spec: FrameSpec, least_s: float):
        self.model, self.inputs = model, SpeakerInputs(model, spec)
        self.export_id = export_id_of(model, spec)
        self.least_frames = spec.num_frames(round(least_s * spec.sample_rate_hz))

    def functions(
        self,
        features_of: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
        outputs_of: Callable[[tf.Tensor, tf.Tensor, Outputs], Outputs],
    ) -> dict[str, Callable[..., Outputs]]:
        """Returns the functions to export, by signature name.

        `enrol`: waveform and length, as of `serving_default`. Returns frame_statistics and, where
            the model takes it, functional_statistics, float32 (batch, 1 + 2 dim) each, of each
            recording; and export_id, int64 (batch,).
        `enrol_embedding`: these and the merged statistics of the speaker of each recording. Returns
            embedding_statistics of each recording.
        `adapted`: these and the merged embedding_statistics. Returns what `serving_default` does,
            and track, string (batch,): `adapted`, or `blind` where too little speech was enrolled.

        Args:
            features_of: checks waveform and length; returns features and mask.
            outputs_of: returns the outputs of `serving_default`, given features, mask and the
                statistics of the speakers.
        """
        bodies = self.bodies(features_of, outputs_of)
        waves = {
            "waveform": tf.TensorSpec((None, None), tf.float32, "waveform"),
            "length": tf.TensorSpec((None,), tf.int32, "length"),
        }
        identity = {"export_id": tf.TensorSpec((None,), tf.int64, "export_id")}
        # Of any length, so that a wrong one reaches the check, whose message names the right one.
        every = {name: tf.TensorSpec((None, None), tf.float32, name) for name in self.inputs.sizes}
        first = {name: every[name] for name in every if name != EMBEDDING}
        inputs = {
            "enrol": waves,
            "enrol_embedding": waves | identity | first,
            "adapted": waves | identity | every,
        }
        return {
            name: tf.function(body).get_concrete_function(**inputs[name])
            for name, body in bodies.items()
        }

    def bodies(
        self,
        features_of: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
        outputs_of: Callable[[tf.Tensor, tf.Tensor, Outputs], Outputs],
    ) -> dict[str, Callable[..., Outputs]]:
        """Returns what the functions of `functions` do, to be called in a graph."""

        def enrol(waveform: tf.Tensor, length: tf.Tensor) -> Outputs:
            moments = self.inputs.moments(*features_of(waveform, length))
            return {**moments, "export_id": tf.fill(tf.shape(length), self._id())}

        def enrol_embedding(**values: tf.Tensor) -> Outputs:
            waveform, length, statistics = self._checked(values)
            features, mask = features_of(waveform, length)
            inputs = {"features": features, "mask": mask}
            inputs |= self.inputs.of(features, mask, statistics)
            return {EMBEDDING: _moment(self.model(inputs, training=False)["embedding"])}

        def adapted(**values: tf.Tensor) -> Outputs:
            waveform, length, statistics = self._checked(values)
            enough = statistics["frame_statistics"][:, :1] >= float(self.least_frames)
            known = {name: tf.where(enough, row, 0.0) for name, row in statistics.items()}
            outputs = outputs_of(*features_of(waveform, length), known)
            return {**outputs, "track": tf.where(enough[:, 0], "adapted", "blind")}

        return {"enrol": enrol, "enrol_embedding": enrol_embedding, "adapted": adapted}

    def example(self) -> dict[str, np.ndarray]:
        """Returns the statistics of an average speaker, one row of each input, for warm-up."""
        rows: dict[str, np.ndarray] = {"export_id": np.array([self.export_id], np.int64)}
        for name, size in self.inputs.sizes.items():
            dim = (size - 1) // 2
            count = self.least_frames + 1
            values = np.concatenate([[count], np.zeros(dim), np.ones(dim)])
            rows[name] = values[None].astype(np.float32)
        return rows

    def _id(self) -> tf.Tensor:
        return tf.constant(self.export_id, tf.int64)

    def _checked(self, values: Outputs) -> tuple[tf.Tensor, tf.Tensor, Outputs]:
        """Returns waveform, length and statistics of a request, after checks of the statistics."""
        values = dict(values)
        waveform, length = values.pop("waveform"), values.pop("length")
        same = require(
            tf.equal(values.pop("export_id"), self._id()),
            f"export_id is not {self.export_id}: the statistics are those of another model. Enrol "
            "the speaker with this one.",
        )
        rows, statistics = tf.shape(length)[0], {}
        before = [same]
        for name in sorted(values):
            checked = checked_statistics(name, values[name], self.inputs.sizes[name], rows, before)
            statistics[name], before = checked, [checked.op]
        with tf.control_dependencies(before):
            return tf.identity(waveform), length, statistics


def export_id_of(model: keras.Model, spec: FrameSpec) -> int:
    """Returns the number that statistics of a speaker carry: one for all exports of these weights.

    Args:
        model: keras.Model.
        spec: the features that the model was trained on.
    """
    text = f"{weights_sha256(model)} {json.dumps(spec.to_dict(), sort_keys=True)}"
    return int(hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS], 16)


def _standardized(values: tf.Tensor, affine: tuple[object, object]) -> tf.Tensor:
    offset, scale = (tf.constant(values, tf.float64) for values in affine)
    return (tf.cast(values, tf.float64) - offset) * scale


def _moments(values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Returns the statistics of the frames of each recording, float32 (batch, 1 + 2 dim)."""
    real = tf.cast(mask, tf.float64)[..., None]
    count = tf.reduce_sum(real, axis=1)
    mean = tf.reduce_sum(real * values, axis=1) / count
    square = tf.reduce_sum(real * tf.square(values), axis=1) / count
    return tf.cast(tf.concat([count, mean, square], axis=1), tf.float32)


def _moment(values: tf.Tensor) -> tf.Tensor:
    """Returns the statistics of one value (batch, dim) of each recording, with a count of 1."""
    count = tf.ones_like(values[:, :1])
    return tf.cast(tf.concat([count, values, tf.square(values)], axis=1), tf.float32)
