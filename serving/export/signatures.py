"""The graphs of an export: raw speech, WAV bytes, features, and one step of a live stream.

All are batched, all say the classes in the order of the probabilities, and all are made of
TensorFlow's core operations, so that a stock TensorFlow Serving runs them.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from ser_keras.data.segments import Segments
from ser_keras.features.frames import FrameSpec
from ser_keras.features.frontend import FrontEnd
from ser_keras.models import model_entry
from serving.export.stream_signatures import Stream

MAX_SECONDS = 120

Outputs = dict[str, tf.Tensor]


@dataclass(frozen=True)
class Served:
    """What is exported.

    Args:
        model: keras.Model, from "features" and "mask" to "logits" and attention maps.
        spec: the features that the model was trained on.
        classes: names of the classes, in the order of the logits.
        segments: how utterances are cut in evaluation; `WHOLE` for models that take all of them.
        temperature: float. What the logarithms of the probabilities are divided by, see
            `ser_keras.metrics.with_temperature`; 1 leaves them as the model says them.
    """

    model: keras.Model
    spec: FrameSpec
    classes: Sequence[str]
    segments: Segments
    temperature: float = 1.0

    @property
    def streams(self) -> bool:
        """Whether the export can predict step by step, while a recording goes on.

        A model that is tested on segments cannot: the mean over segments is no answer of a step.
        """
        return model_entry(self.model.name).streams and not self.segments.frames


class ServedModule:
    """The signatures of an export, see `signatures`.

    Args:
        served: what is exported.

    Departures: waveforms of more than `MAX_SECONDS` are refused, since a request must not be able
        to fill the memory; clients cut long recordings into windows.
    """

    def __init__(self, served: Served):
        self.model, self.spec, self.segments = served.model, served.spec, served.segments
        self.front_end = FrontEnd(served.spec)
        self.names = list(served.classes)
        self.temperature = served.temperature
        self.maps = model_entry(served.model.name).maps
        most_samples = MAX_SECONDS * served.spec.sample_rate_hz
        self.stream = Stream(served.model, served.spec, most_samples) if served.streams else None

    def trackable(self) -> tf.Module:
        """Returns what the graphs' weights are saved with: TensorFlow's variables, by number.

        Given the Keras model itself, TensorFlow 2.16 writes every weight twice and restores the one
        that no graph reads; `tf.saved_model.load` hides that, a server's loader fails.
        """
        module = tf.Module()
        module.weights = [variable.value for variable in self.model.variables]
        return module

    def signatures(self) -> dict[str, Callable[..., Outputs]]:
        """Returns the functions to export, by signature name.

        `serving_default`: waveform float32 (batch, samples) at the spec's rate, -1 to 1, and length
        int32 (batch,), the samples of each; what lies behind them does not matter.
        `wav_bytes`: wav, string (batch,), each a RIFF file of 16-bit PCM at that rate.
        `features`: features float32 (batch, frames, dim) and frames int32 (batch,).
        `explain`: waveform and length; returns every map that the model makes, of which the others
            return `attention` alone: an attention-pooling CNN has one of them and K more per
            segment, megabytes that who wants a label should not wait for.
        `front_end`: waveform and length; returns features and frames, nothing else.
        `stream_front_end` (predictive VRNN of whole utterances): waveform and length, a stretch of
            a recording that starts with one of its steps, and loudest_db float32 (batch,), what it
            returned of the recording so far, -1000 at the start. Returns the steps of each, int32
            (batch,), and what `stream` takes of them: features float32 (batch, steps, dim), or
            (batch, steps, window, dim) and frames int32 (batch, steps) where the model makes the
            windows. plan, string (batch,), is `Stream.plan` as JSON.
        `stream`: features float32 (batch, dim), the vector of the next window, or (batch, window,
            dim), its frames, and frames int32 (batch,); and the states that the step before
            returned, zeros at the start.

        The others return probabilities float32 (batch, K), label string (batch,), classes string
        (batch, K) and attention, where the model has it.
        """
        rate = self.spec.sample_rate_hz
        text = tf.TensorSpec((None,), tf.string, "wav")
        number = tf.TensorSpec((None,), tf.int32)
        waves = tf.TensorSpec((None, None), tf.float32)
        frames = tf.TensorSpec((None, None, self.spec.dim), tf.float32)

        @tf.function(input_signature=[waves, number])
        def from_waveform(waveform: tf.Tensor, length: tf.Tensor) -> Outputs:
            return self._outputs(*self._heard(waveform, length))

        @tf.function(input_signature=[waves, number])
        def explain(waveform: tf.Tensor, length: tf.Tensor) -> Outputs:
            return self._outputs(*self._heard(waveform, length), every_map=True)

        @tf.function(input_signature=[waves, number])
        def front_end(waveform: tf.Tensor, length: tf.Tensor) -> Outputs:
            features, mask = self._heard(waveform, length)
            return {"features": features, "frames": tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)}

        @tf.function(input_signature=[text])
        def from_wav(wav: tf.Tensor) -> Outputs:
            return self._outputs(*self._heard(*_decoded(wav, rate)))

        @tf.function(input_signature=[frames, number])
        def from_features(features: tf.Tensor, frames: tf.Tensor) -> Outputs:
            checks = [
                _all(frames > 0, "frames must be 1 or more."),
                _all(frames <= tf.shape(features)[1], "frames exceed those of features."),
                _all(tf.shape(features)[1] <= self._most_frames(), _too_long("features")),
            ]
            with tf.control_dependencies(checks):
                mask = tf.sequence_mask(frames, tf.shape(features)[1])
            return self._outputs(features, mask)

        made = {
            "serving_default": from_waveform,
            "wav_bytes": from_wav,
            "features": from_features,
            "explain": explain,
            "front_end": front_end,
        }
        return made | (self._streamed(self.stream) if self.stream is not None else {})

    def _streamed(self, stream: Stream) -> dict[str, Callable[..., Outputs]]:
        @tf.function(
            input_signature=[
                tf.TensorSpec((None, None), tf.float32),
                tf.TensorSpec((None,), tf.int32),
                tf.TensorSpec((None,), tf.float32),
            ]
        )
        def front(waveform: tf.Tensor, length: tf.Tensor, loudest_db: tf.Tensor) -> Outputs:
            known = _all(tf.math.is_finite(loudest_db), "loudest_db must be finite.")
            with tf.control_dependencies([known]):
                loudest_db = tf.identity(loudest_db)
            return stream.front(*self._checked(waveform, length), loudest_db)

        return {"stream_front_end": front, "stream": stream.graph(self._named)}

    def _most_frames(self) -> int:
        return self.spec.num_frames(MAX_SECONDS * self.spec.sample_rate_hz)

    def _heard(self, waveform: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns features and mask."""
        heard: tuple[tf.Tensor, tf.Tensor] = self.front_end(*self._checked(waveform, length))
        return heard

    def _checked(self, waveform: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns waveform and length, once it is sure that they mean something."""
        samples = tf.shape(waveform)[1]
        checks = [
            _all(length > 0, "length must be 1 or more."),
            _all(length <= samples, "length exceeds the samples of waveform."),
            _all(samples <= MAX_SECONDS * self.spec.sample_rate_hz, _too_long("waveform")),
            _all(tf.math.is_finite(waveform), "waveform has NaN or infinite samples."),
        ]
        with tf.control_dependencies(checks):
            return tf.identity(waveform), length

    def _outputs(self, features: tf.Tensor, mask: tf.Tensor, *, every_map: bool = False) -> Outputs:
        if not self.segments.frames:
            said = self.model({"features": features, "mask": mask}, training=False)
            return self._named(tf.nn.softmax(said["logits"]), self._maps(said, every_map))
        return self._of_segments(features, mask, every_map)

    def _of_segments(self, features: tf.Tensor, mask: tf.Tensor, every_map: bool) -> Outputs:
        """Returns the mean of the probabilities of all segments, as evaluation takes it."""
        size, hop = self.segments.frames, self.segments.hop
        batch, frames = tf.unstack(tf.shape(mask))
        real = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
        last = tf.maximum(real - size, 0)
        count = 1 + (last + hop - 1) // hop
        most = tf.reduce_max(count)
        width = tf.minimum(size, frames)
        # Behind its last segment an utterance repeats that one, which then does not count.
        number = tf.minimum(tf.range(most)[None], count[:, None] - 1)
        starts = tf.minimum(number * hop, last[:, None])
        places = starts[..., None] + tf.range(width)[None, None]
        pieces = tf.gather(features, places, batch_dims=1)
        whole = tf.gather(mask, places, batch_dims=1)
        inputs = {
            "features": tf.reshape(pieces, (-1, width, self.spec.dim)),
            "mask": tf.reshape(whole, (-1, width)),
        }
        said = self.model(inputs, training=False)

        def apart(values: tf.Tensor) -> tf.Tensor:
            return tf.reshape(values, tf.concat([[batch, most], tf.shape(values)[1:]], 0))

        counts = tf.sequence_mask(count, most, tf.float32)[..., None]
        each = apart(tf.nn.softmax(said["logits"]))
        mean = tf.reduce_sum(each * counts, axis=1) / tf.reduce_sum(counts, axis=1)
        maps = {name: apart(values) for name, values in self._maps(said, every_map).items()}
        return self._named(mean, maps | {"segments": count})

    def _maps(self, outputs: Outputs, every_map: bool) -> Outputs:
        """Returns the map called attention, or every one that the model's entry names."""
        names = self.maps if every_map else ("attention",)
        return {name: value for name, value in outputs.items() if name in names}

    def _named(self, probabilities: tf.Tensor, others: Outputs) -> Outputs:
        if self.temperature != 1.0:
            probabilities = tf.nn.softmax(tf.math.log(probabilities) / self.temperature)
        names = tf.constant(self.names)
        batch = tf.shape(probabilities)[0]
        return {
            "probabilities": probabilities,
            "label": tf.gather(names, tf.argmax(probabilities, axis=1)),
            "classes": tf.tile(names[None], (batch, 1)),
            **others,
        }


def is_not_gradient_warning(record: logging.LogRecord) -> bool:
    """Filters out TensorFlow's warning that saved graphs have no gradients; nobody trains them."""
    return "custom gradients" not in str(record.msg)


def _all(condition: tf.Tensor, message: str) -> tf.Operation:
    return tf.debugging.Assert(tf.reduce_all(condition), [message])


def _too_long(what: str) -> str:
    return f"{what} is longer than {MAX_SECONDS} s. Cut it into windows, as SerClient does."


def _decoded(wav: tf.Tensor, sample_rate_hz: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns waveforms (batch, samples) and lengths (batch,) of WAV files."""

    def decode(contents: tf.Tensor) -> tf.Tensor:
        audio, rate = tf.audio.decode_wav(contents)
        right = _all(
            tf.equal(rate, sample_rate_hz),
            f"wav is not at {sample_rate_hz} Hz. Resample it, as SerClient does.",
        )
        with tf.control_dependencies([right]):
            return tf.reduce_mean(audio, axis=1)

    kind = tf.RaggedTensorSpec((None,), tf.float32, ragged_rank=0)
    rows: Any = tf.map_fn(decode, wav, fn_output_signature=kind)
    return rows.to_tensor(), tf.cast(rows.row_lengths(), tf.int32)
