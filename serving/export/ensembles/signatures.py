"""The signatures of an ensemble's export: those of one model, answered by the mean of all members.

Members of the same features share the front end, so that speech is analysed once for each kind.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from ser_keras.features.frames import FrameSpec
from ser_keras.models import model_entry
from serving.export.ensembles.member import Framed, MemberModule
from serving.export.ensembles.speakers import EnsembleSpeakers
from serving.export.graph_inputs import checked_waveform, decoded_wav
from serving.export.signatures import Outputs, Served, named_answers


@dataclass(frozen=True)
class ServedEnsemble:
    """What is exported of an ensemble.

    Args:
        members: the models, each with temperature 1.
        weights: of the members in the mean, in any scale.
        temperature: float. Of the mean, see `ser_keras.metrics.with_temperature`.
        tracks: those of the ensemble, `blind` or both. On each the mean is over the members that
            have it.
    """

    members: Sequence[Served]
    weights: Sequence[float]
    temperature: float = 1.0
    tracks: Sequence[str] = ("blind",)

    @property
    def leader(self) -> Served:
        """The member whose maps and features are shown: the first that attends to frames or cells.

        A predictive VRNN's are steps of a stream, which an ensemble does not have. It shows what it
        does without knowing the speaker, and so is one that can.
        """
        blind = [self.members[number] for number in self.on("blind")]
        return next(
            (member for member in blind if not model_entry(member.model.name).streams), blind[0]
        )

    @property
    def spec(self) -> FrameSpec:
        """The features of the leader."""
        return self.leader.spec

    def on(self, track: str) -> list[int]:
        """Returns the numbers of the members in the mean of a track."""
        return [number for number, member in enumerate(self.members) if track in member.tracks]


class EnsembleModule:
    """The signatures of an ensemble's export, see `signatures`.

    Args:
        served: what is exported.
    """

    def __init__(self, served: ServedEnsemble):
        self.served, self.spec = served, served.spec
        self.members = [MemberModule(member) for member in served.members]
        self.leader = served.members.index(served.leader)
        # Float32 as the probabilities; of numbers below 1 the sum of 20 is exact to 1e-6.
        self.weights = np.asarray(served.weights, np.float32)
        self.speakers = None
        if "adapted" in served.tracks:
            adapted = {number: self.members[number] for number in served.on("adapted")}
            self.speakers = EnsembleSpeakers(adapted, self.features_of_all, self.answers, self.mean)

    def trackable(self) -> tf.Module:
        """Returns the object to save the weights of all members with, see `ServedModule`."""
        module = tf.Module()
        module.members = [member.trackable() for member in self.members]
        return module

    def signatures(self) -> dict[str, Callable[..., Outputs]]:
        """Returns the functions to export, by signature name.

        They take and return what those of `ServedModule` do, but no attention; probabilities and
        label are the mean's. `explain` returns the maps of the leader, `front_end` its features.
        `features` is there only if all members have the same features. There are no signatures of a
        stream.

        `enrol`, `enrol_embedding`, `adapted` (where two members or more have an adapted track): as
        of one model, see `EnsembleSpeakers`.
        """
        rate = self.spec.sample_rate_hz
        text = tf.TensorSpec((None,), tf.string, "wav")
        number = tf.TensorSpec((None,), tf.int32)
        waves = tf.TensorSpec((None, None), tf.float32)
        frames = tf.TensorSpec((None, None, self.spec.dim), tf.float32)

        @tf.function(input_signature=[waves, number])
        def from_waveform(waveform: tf.Tensor, length: tf.Tensor) -> Outputs:
            return self.answers(self.features_of_all(waveform, length))

        @tf.function(input_signature=[text])
        def from_wav(wav: tf.Tensor) -> Outputs:
            return self.answers(self.features_of_all(*decoded_wav(wav, rate)))

        @tf.function(input_signature=[waves, number])
        def explain(waveform: tf.Tensor, length: tf.Tensor) -> Outputs:
            framed = self.features_of_all(waveform, length)
            maps = self.members[self.leader].maps_of(*framed[self.leader])
            return maps | self.answers(framed)

        @tf.function(input_signature=[waves, number])
        def front_end(waveform: tf.Tensor, length: tf.Tensor) -> Outputs:
            features, mask = self.members[self.leader].framed(waveform, length)
            return {"features": features, "frames": tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)}

        @tf.function(input_signature=[frames, number])
        def from_features(features: tf.Tensor, frames: tf.Tensor) -> Outputs:
            framed = self.members[self.leader].masked(features, frames)
            return self.answers([framed] * len(self.members))

        functions = {
            "serving_default": from_waveform,
            "wav_bytes": from_wav,
            "explain": explain,
            "front_end": front_end,
        }
        if len({_name_of(member.spec) for member in self.members}) == 1:
            functions["features"] = from_features
        if self.speakers is not None:
            functions |= self.speakers.functions()
        return functions

    def features_of_all(self, waveform: tf.Tensor, length: tf.Tensor) -> list[Framed]:
        """Returns features and mask for each member; those of the same features share them."""
        waveform, length = checked_waveform(waveform, length, self.spec.sample_rate_hz)
        by_spec: dict[str, Framed] = {}
        for member in self.members:
            if _name_of(member.spec) not in by_spec:
                by_spec[_name_of(member.spec)] = member.framed(waveform, length)
        return [by_spec[_name_of(member.spec)] for member in self.members]

    def answers(self, framed: Sequence[Framed]) -> Outputs:
        """Returns the outputs of a signature on the blind track."""
        numbers = self.served.on("blind")
        answers = [self.members[number].probabilities(*framed[number]) for number in numbers]
        return self.mean(answers, numbers)

    def mean(self, probabilities: Sequence[tf.Tensor], numbers: Sequence[int]) -> Outputs:
        """Returns the outputs of the weighted mean of the members with these numbers."""
        weights = self.weights[list(numbers)]
        mean = tf.einsum("mbk,m->bk", tf.stack(probabilities), weights / weights.sum())
        return named_answers(mean, self.served.leader.classes, self.served.temperature)


def _name_of(spec: FrameSpec) -> str:
    return json.dumps(spec.to_dict(), sort_keys=True)
