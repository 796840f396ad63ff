"""The signatures of an export: for raw speech, WAV bytes, features, steps of live speech, speakers.

All take batches, name the classes in the order of the probabilities, and consist of TensorFlow's
core operations, so that a stock TensorFlow Serving runs them.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from ser_keras.adaptation.speakers import takes_speakers
from ser_keras.data.segments import Segments
from ser_keras.features.frames import FrameSpec
from ser_keras.features.frontend import FrontEnd
from ser_keras.models import model_entry
from serving.export.graph_inputs import (
    MAX_SECONDS,
    checked_waveform,
    decoded_wav,
    require,
    too_long,
)
from serving.export.speaker_signatures import SpeakerInputs, SpeakerSignatures
from serving.export.stream_signatures import Stream
from serving.export.traced import traced_once

Outputs = dict[str, tf.Tensor]


@dataclass(frozen=True)
class Served:
    """What is exported.

    Args:
        model: keras.Model, from "features" and "mask" to "logits" and attention maps.
        spec: the features that the model was trained on.
        classes: names of the classes, in the order of the logits.
        segments: how utterances are cut in evaluation; `WHOLE` for models that take all of them.
        temperature: float. Divides the logarithms of the probabilities, see
            `ser_keras.metrics.with_temperature`; 1 leaves them unchanged.
        tracks: names of the tracks that the model was trained for: "blind", or "blind" and
            "adapted".
        least_s: float. On the adapted track, a speaker with less speech gets the blind answer.
    """

    model: keras.Model
    spec: FrameSpec
    classes: Sequence[str]
    segments: Segments
    temperature: float = 1.0
    tracks: Sequence[str] = ("blind",)
    least_s: float = 0.0

    @property
    def streams(self) -> bool:
        """Whether the export can predict step by step, during the recording.

        A model that is tested on segments cannot: a step has no mean over segments. Nor can one
        whose features depend on what comes later, nor one that is normalised by speaker: it
        classifies mean and deviation over all of an utterance.
        """
        model_streams = model_entry(self.model.name).streams and not takes_speakers(self.model)
        return model_streams and self.spec.streams and not self.segments.frames


class ServedModule:
    """The signatures of an export, see `signatures`.

    Args:
        served: what is exported.

    Departures: waveforms longer than `MAX_SECONDS` are refused, so that no request can fill the
        memory; clients cut long recordings into windows.
    """

    def __init__(self, served: Served):
        self.model, self.spec, self.segments = served.model, served.spec, served.segments
        self.front_end = traced_once(
            FrontEnd(served.spec),
            tf.TensorSpec((None, None), tf.float32),
            tf.TensorSpec((None,), tf.int32),
        )
        self.names = list(served.classes)
        self.temperature = served.temperature
        self.maps = model_entry(served.model.name).maps
        most_samples = MAX_SECONDS * served.spec.sample_rate_hz
        self.stream = Stream(served.model, served.spec, most_samples) if served.streams else None
        self.speaker_inputs = self.speakers = None
        if "adapted" in served.tracks:
            self.speakers = SpeakerSignatures(served.model, served.spec, served.least_s)
            self.speaker_inputs = self.speakers.inputs
        elif takes_speakers(served.model):
            self.speaker_inputs = SpeakerInputs(served.model, served.spec)

    def trackable(self) -> tf.Module:
        """Returns the object to save the weights with: it holds TensorFlow's variables, by number.

        Given the Keras model itself, TensorFlow 2.16 writes every weight twice and restores the
        copy that no graph reads. `tf.saved_model.load` copes with this, a server's loader fails.
        """
        module = tf.Module()
        module.weights = [variable.value for variable in self.model.variables]
        return module

    def signatures(self) -> dict[str, Callable[..., Outputs]]:
        """Returns the functions to export, by signature name.

        `serving_default`: waveform float32 (batch, samples) at the spec's rate, -1 to 1, and length
            int32 (batch,), the samples of each; samples behind them are padding.
        `wav_bytes`: wav, string (batch,), each a RIFF file of 16-bit PCM at that rate.
        `features`: features float32 (batch, frames, dim) and frames int32 (batch,).
        `explain`: waveform and length; returns all maps of the model. The other signatures return
            `attention` alone: an attention-pooling CNN has K more maps per segment, megabytes that
            are not needed for a label.
        `front_end`: waveform and length; returns features and frames, nothing else.
        `stream_front_end` (predictive VRNN of whole utterances): waveform and length, a stretch of
            a recording that starts with one of its steps, and loudest_db float32 (batch,), the
            level that it returned for the recording so far, -1000 at the start. Returns the number
            of steps, int32 (batch,), and the inputs of `stream`: features float32 (batch, steps,
            dim), or, where the model makes the windows, (batch, steps, window, dim) and frames
            int32 (batch, steps). plan, string (batch,), is `Stream.plan` as JSON.
        `stream`: features float32 (batch, dim), the vector of the next window; or (batch, window,
            dim), its frames, and frames int32 (batch,). Its other inputs are the states that the
            step before returned, zeros at the start.
        `enrol`, `enrol_embedding`, `adapted` (models with an adapted track): see
            `SpeakerSignatures.functions`. All other signatures answer as the blind track.

        All others return probabilities float32 (batch, K), label string (batch,), classes string
        (batch, K) and, where the model has it, attention.
        """
        rate = self.spec.sample_rate_hz
        text = tf.TensorSpec((None,), tf.string, "wav")
        number = tf.TensorSpec((None,), tf.int32)
        waves = tf.TensorSpec((None, None), tf.float32)
        frames = tf.TensorSpec((None, None, self.spec.dim), tf.float32)

        @tf.function(input_signature=[waves, number])
        def from_waveform(waveform: tf.Tensor, length: tf.Tensor) -> Outputs:
            return self._outputs(*self._features(waveform, length))

        @tf.function(input_signature=[waves, number])
        def explain(waveform: tf.Tensor, length: tf.Tensor) -> Outputs:
            return self._outputs(*self._features(waveform, length), every_map=True)

        @tf.function(input_signature=[waves, number])
        def front_end(waveform: tf.Tensor, length: tf.Tensor) -> Outputs:
            features, mask = self._features(waveform, length)
            return {"features": features, "frames": tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)}

        @tf.function(input_signature=[text])
        def from_wav(wav: tf.Tensor) -> Outputs:
            return self._outputs(*self._features(*decoded_wav(wav, rate)))

        @tf.function(input_signature=[frames, number])
        def from_features(features: tf.Tensor, frames: tf.Tensor) -> Outputs:
            return self._outputs(*self._masked(features, frames))

        functions = {
            "serving_default": from_waveform,
            "wav_bytes": from_wav,
            "features": from_features,
            "explain": explain,
            "front_end": front_end,
        }
        if self.stream is not None:
            functions |= self._stream_signatures(self.stream)
        if self.speakers is not None:
            functions |= self.speakers.functions(self._features, self._outputs)
        return functions

    def _stream_signatures(self, stream: Stream) -> dict[str, Callable[..., Outputs]]:
        @tf.function(
            input_signature=[
                tf.TensorSpec((None, None), tf.float32),
                tf.TensorSpec((None,), tf.int32),
                tf.TensorSpec((None,), tf.float32),
            ]
        )
        def front(waveform: tf.Tensor, length: tf.Tensor, loudest_db: tf.Tensor) -> Outputs:
            check = require(tf.math.is_finite(loudest_db), "loudest_db must be finite.")
            with tf.control_dependencies([check]):
                loudest_db = tf.identity(loudest_db)
            return stream.front(*self._checked(waveform, length), loudest_db)

        return {"stream_front_end": front, "stream": stream.graph(self._named)}

    def _most_frames(self) -> int:
        return self.spec.num_frames(MAX_SECONDS * self.spec.sample_rate_hz)

    def _features(self, waveform: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns features and mask."""
        features, mask = self.front_end(*self._checked(waveform, length))
        return features, mask

    def _masked(self, features: tf.Tensor, frames: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns features and mask, after checks of the lengths."""
        checks = [
            require(frames > 0, "frames must be 1 or more."),
            require(frames <= tf.shape(features)[1], "frames exceed those of features."),
            require(tf.shape(features)[1] <= self._most_frames(), too_long("features")),
        ]
        with tf.control_dependencies(checks):
            return features, tf.sequence_mask(frames, tf.shape(features)[1])

    def _checked(self, waveform: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return checked_waveform(waveform, length, self.spec.sample_rate_hz)

    def _outputs(
        self,
        features: tf.Tensor,
        mask: tf.Tensor,
        statistics: Outputs | None = None,
        *,
        every_map: bool = False,
    ) -> Outputs:
        """Returns the outputs of a signature; without statistics nothing of a speaker is known."""
        if not self.segments.frames:
            inputs = {"features": features, "mask": mask}
            if self.speaker_inputs is not None:
                inputs |= self.speaker_inputs.of(features, mask, statistics or {})
            outputs = self.model(inputs, training=False)
            return self._named(tf.nn.softmax(outputs["logits"]), self._maps(outputs, every_map))
        return self._outputs_of_segments(features, mask, every_map)

    def _outputs_of_segments(
        self, features: tf.Tensor, mask: tf.Tensor, every_map: bool
    ) -> Outputs:
        """Returns the mean of the probabilities of all segments, as evaluation takes it."""
        segments, segment_masks, count = self._segments(features, mask)
        batch, most, width = tf.unstack(tf.shape(segment_masks))
        inputs = {
            "features": tf.reshape(segments, (-1, width, self.spec.dim)),
            "mask": tf.reshape(segment_masks, (-1, width)),
        }
        outputs = self.model(inputs, training=False)

        def by_utterance(values: tf.Tensor) -> tf.Tensor:
            return tf.reshape(values, tf.concat([[batch, most], tf.shape(values)[1:]], 0))

        weights = tf.sequence_mask(count, most, tf.float32)[..., None]
        probabilities = by_utterance(tf.nn.softmax(outputs["logits"]))
        mean = tf.reduce_sum(probabilities * weights, axis=1) / tf.reduce_sum(weights, axis=1)
        maps = self._maps(outputs, every_map)
        maps = {name: by_utterance(values) for name, values in maps.items()}
        return self._named(mean, maps | {"segments": count})

    def _segments(
        self, features: tf.Tensor, mask: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns (segments (batch, most, width, dim), their masks, how many are real (batch,)).

        An utterance with fewer segments than others repeats its last one.
        """
        size, hop = self.segments.frames, self.segments.hop
        real_frames = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
        last = tf.maximum(real_frames - size, 0)
        count = 1 + (last + hop - 1) // hop
        number = tf.minimum(tf.range(tf.reduce_max(count))[None], count[:, None] - 1)
        starts = tf.minimum(number * hop, last[:, None])
        width = tf.minimum(size, tf.shape(mask)[1])
        indices = starts[..., None] + tf.range(width)[None, None]
        segments = tf.gather(features, indices, batch_dims=1)
        return segments, tf.gather(mask, indices, batch_dims=1), count

    def _maps(self, outputs: Outputs, every_map: bool) -> Outputs:
        """Returns the map called attention, or every one that the model's entry names."""
        names = self.maps if every_map else ("attention",)
        return {name: value for name, value in outputs.items() if name in names}

    def _named(self, probabilities: tf.Tensor, others: Outputs) -> Outputs:
        return named_answers(probabilities, self.names, self.temperature) | others


def named_answers(
    probabilities: tf.Tensor, class_names: Sequence[str], temperature: float
) -> Outputs:
    """Returns the outputs that every answer has: probabilities, label and classes.

    Args:
        probabilities: float32 (batch, K).
        class_names: of the K classes.
        temperature: float. See `ser_keras.metrics.with_temperature`.
    """
    if temperature != 1.0:
        probabilities = tf.nn.softmax(tf.math.log(probabilities) / temperature)
    names = tf.constant(list(class_names))
    batch = tf.shape(probabilities)[0]
    return {
        "probabilities": probabilities,
        "label": tf.gather(names, tf.argmax(probabilities, axis=1)),
        "classes": tf.tile(names[None], (batch, 1)),
    }


def is_not_gradient_warning(record: logging.LogRecord) -> bool:
    """Filters out TensorFlow's warning that saved graphs have no gradients; nobody trains them."""
    return "custom gradients" not in str(record.msg)
