"""The signatures of an export for live speech: the inputs of the next steps, and one step.

A client keeps the samples that no step has used yet. `stream_front_end` turns them into the inputs
of the next steps, equal to the features of the whole recording; `stream` takes them one by one,
with the states that the step before returned. `serving.client.stream` is such a client.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import tensorflow as tf

from ser_keras.features.frames import FrameSpec
from ser_keras.features.frontend import FrontEnd
from ser_keras.layers.predictive_cell import STATES
from ser_keras.models.predictive_vrnn_stream import step_frames, streaming_predictive_vrnn

Outputs = dict[str, tf.Tensor]


class Stream:
    """A predictive VRNN that takes a recording step by step.

    Args:
        model: keras.Model, as `build_predictive_vrnn` made it.
        spec: the features that the model was trained on.
        most_samples: int. Most samples of a request.
    """

    def __init__(self, model: keras.Model, spec: FrameSpec, most_samples: int):
        self.step = streaming_predictive_vrnn(model)
        self.frames = step_frames(model)
        self.spec, self.most_samples = spec, most_samples
        # The client trims silence: it has the whole recording.
        self.front_end = FrontEnd(replace(spec, trim_db=None))

    def plan(self) -> dict[str, Any]:
        """Returns what a client must know to cut a stream into steps.

        Returns:
            dict, ready for JSON. A step has `window_samples`, and one starts every `hop_samples`;
            every step but the first needs `least_samples`. A step is final when `ahead_samples`
            follow it, and is computed together with the `context_steps` before it. A request has
            at most `most_samples`. `inputs` names the inputs of `stream` for a step, `state` the
            size of each state. `trim` is None where the model takes whole recordings. Else it takes
            them from the first to the last frame whose energy is at most `db` below the loudest
            one; such a frame has `frame_samples`, and one starts every `hop_samples`.
        """
        spec, steps = self.spec, self.frames
        size, hop, ahead = spec.vector_samples, spec.vector_hop_samples, spec.context_frames
        trim = {"db": spec.trim_db}
        trim |= {"frame_samples": spec.frame_samples, "hop_samples": spec.hop_samples}
        return {
            "sample_rate_hz": spec.sample_rate_hz,
            "window_samples": size + (steps.window - 1) * hop,
            "hop_samples": steps.hop * hop,
            "least_samples": size + (steps.least - 1) * hop,
            "ahead_samples": ahead * hop,
            "context_steps": -(-ahead // steps.hop),
            "most_samples": self.most_samples,
            "inputs": [name for name in self.step.input if name not in STATES],
            "state": {name: self.step.input[name].shape[1] for name in STATES},
            "trim": trim if spec.trim_db is not None else None,
        }

    def front(self, waveform: tf.Tensor, length: tf.Tensor, loudest_db: tf.Tensor) -> Outputs:
        """Returns the inputs of the steps of a stretch, see `ServedModule.signatures`."""
        features, mask, loudest_db = self.front_end.of_stretch(waveform, length, loudest_db)
        frames = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
        steps = self.frames.count(frames)
        outputs = {"steps": steps, "loudest_db": loudest_db}
        if "frames" in self.step.input:
            features, outputs["frames"] = self._windows(features, frames, tf.reduce_max(steps))
        plan = tf.constant(json.dumps(self.plan()))
        return {**outputs, "features": features, "plan": tf.fill(tf.shape(length), plan)}

    def _windows(
        self, features: tf.Tensor, frames: tf.Tensor, most: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns (the frames of each step (batch, most, window, dim), how many are real)."""
        window, first = self.frames.window, self.frames.hop * tf.range(most)
        real = tf.clip_by_value(frames[:, None] - first[None], 0, window)
        padded = tf.pad(features, [[0, 0], [0, window], [0, 0]])
        indices = tf.minimum(first[:, None] + tf.range(window)[None], tf.shape(padded)[1] - 1)
        return tf.gather(padded, indices, axis=1), real

    def graph(self, named: Callable[[tf.Tensor, Outputs], Outputs]) -> Callable[..., Outputs]:
        """Returns the function of the signature `stream`.

        Args:
            named: returns the outputs of the signature, given probabilities (batch, K) and the
                step's other outputs.
        """
        inputs = {
            name: tf.TensorSpec(tensor.shape, tensor.dtype, name)
            for name, tensor in self.step.input.items()
        }

        # A dictionary would be one input; a signature names every tensor.
        @tf.function
        def stream(**values: tf.Tensor) -> Outputs:
            outputs = dict(self.step(values, training=False))
            outputs.pop("normalized")
            return named(tf.nn.softmax(outputs.pop("logits")), outputs)

        return stream.get_concrete_function(**inputs)
