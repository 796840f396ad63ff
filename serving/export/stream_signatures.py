"""The graphs of an export for speech that has no end: what completes a step, and the step.

A client keeps the samples that no step has used up. `stream_front_end` makes of them the inputs of
the next steps, as the features of the recording so far would have them; `stream` takes them one by
one, with the states that the step before returned. `serving.client.stream` is such a client.
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
    """A predictive VRNN that hears a recording step by step.

    Args:
        model: keras.Model, as `build_predictive_vrnn` made it.
        spec: the features that the model was trained on.
        most_samples: int. Samples that a request may have.
    """

    def __init__(self, model: keras.Model, spec: FrameSpec, most_samples: int):
        self.step = streaming_predictive_vrnn(model)
        self.frames = step_frames(model)
        self.spec, self.most_samples = spec, most_samples
        # Where speech begins and ends the client knows, which has heard all of it.
        self.front_end = FrontEnd(replace(spec, trim_db=None))

    def plan(self) -> dict[str, Any]:
        """Returns what a client must know to cut a stream into steps.

        Returns:
            dict, ready for JSON. A step has `window_samples`, and one starts every `hop_samples`;
            behind the first one there is another as soon as it has `least_samples`. A step is final
            when `ahead_samples` follow it, and is made together with the `context_steps` before it.
            `most_samples` go into a request. `inputs` are what `stream` takes of
            a step, `state` is the size of each state. `trim` is None where a recording is heard
            whole; else it is heard from its first to its last frame whose energy is at most `db`
            below the loudest, of frames of `frame_samples`, one every `hop_samples`.
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
        made = {"steps": steps, "loudest_db": loudest_db}
        if "frames" in self.step.input:
            features, made["frames"] = self._windows(features, frames, tf.reduce_max(steps))
        plan = tf.constant(json.dumps(self.plan()))
        return {**made, "features": features, "plan": tf.fill(tf.shape(length), plan)}

    def _windows(
        self, features: tf.Tensor, frames: tf.Tensor, most: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns (the frames of each step (batch, most, window, dim), how many are real)."""
        window, first = self.frames.window, self.frames.hop * tf.range(most)
        real = tf.clip_by_value(frames[:, None] - first[None], 0, window)
        padded = tf.pad(features, [[0, 0], [0, window], [0, 0]])
        places = tf.minimum(first[:, None] + tf.range(window)[None], tf.shape(padded)[1] - 1)
        return tf.gather(padded, places, axis=1), real

    def graph(self, named: Callable[[tf.Tensor, Outputs], Outputs]) -> Callable[..., Outputs]:
        """Returns the function of the signature `stream`.

        Args:
            named: makes the answer of probabilities (batch, K) and what else there is.
        """
        inputs = {
            name: tf.TensorSpec(tensor.shape, tensor.dtype, name)
            for name, tensor in self.step.input.items()
        }

        # A dictionary would be one input; signatures want each by its name.
        @tf.function
        def stream(**values: tf.Tensor) -> Outputs:
            outputs = dict(self.step(values, training=False))
            outputs.pop("normalized")
            return named(tf.nn.softmax(outputs.pop("logits")), outputs)

        return stream.get_concrete_function(**inputs)
