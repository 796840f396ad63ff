"""The signatures of an ensemble's export: those of one model, answered by the mean of all members.

Members of the same features share the front end, so that speech is analysed once for each kind.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from ser_keras.features.frames import FrameSpec
from ser_keras.models import model_entry
from serving.export.graph_inputs import checked_waveform, decoded_wav, require
from serving.export.signatures import Outputs, Served, ServedModule, named_answers
from serving.export.speaker_signatures import EMBEDDING, ID_DIGITS, SpeakerSignatures

Framed = tuple[tf.Tensor, tf.Tensor]


@dataclass(frozen=True)
class ServedEnsemble:
    """What is exported of an ensemble.

    Args:
        members: the models, each with temperature 1.
        weights: of the members in the mean, in any scale.
        temperature: float. Of the mean, see `ser_keras.metrics.with_temperature`.
        tracks: those of the ensemble, `blind` or both. On the adapted track the mean is over the
            members that have it.
    """

    members: Sequence[Served]
    weights: Sequence[float]
    temperature: float = 1.0
    tracks: Sequence[str] = ("blind",)

    @property
    def leader(self) -> Served:
        """The member whose maps and features are shown: the first that attends to frames or cells.

        A predictive VRNN's are steps of a stream, which an ensemble does not have.
        """
        return next(
            (member for member in self.members if not model_entry(member.model.name).streams),
            self.members[0],
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
        self.speakers = EnsembleSpeakers(self) if "adapted" in served.tracks else None

    def trackable(self) -> tf.Module:
        """Returns the object to save the weights of all members with, see `ServedModule`."""
        module = tf.Module()
        module.members = [member.trackable() for member in self.members]
        return module

    def signatures(self) -> dict[str, Callable[..., Outputs]]:
        """Returns the functions to export, by signature name.

        They take and return what those of `ServedModule` do, but no attention; probabilities and
        label are the mean's. `explain` returns the maps of the leader, `front_end` its features. `features` is there only
        if all members have the same features. There are no signatures of a stream.

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
        return self.mean(
            [
                member.probabilities(*frames)
                for member, frames in zip(self.members, framed, strict=True)
            ],
            range(len(self.members)),
        )

    def mean(self, probabilities: Sequence[tf.Tensor], numbers: Sequence[int]) -> Outputs:
        """Returns the outputs of the weighted mean of the members with these numbers."""
        weights = self.weights[list(numbers)]
        mean = tf.einsum("mbk,m->bk", tf.stack(probabilities), weights / weights.sum())
        return named_answers(mean, self.served.leader.classes, self.served.temperature)


class MemberModule(ServedModule):
    """The parts of a member's export that an ensemble puts together.

    Args:
        served: the member.
    """

    def framed(self, waveform: tf.Tensor, length: tf.Tensor) -> Framed:
        """Returns features and mask."""
        return self._features(waveform, length)

    def masked(self, features: tf.Tensor, frames: tf.Tensor) -> Framed:
        """Returns features and mask of a request with features, after checks of their lengths."""
        return self._masked(features, frames)

    def probabilities(self, features: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Returns the probabilities on the blind track, float32 (batch, K)."""
        return self._outputs(features, mask)["probabilities"]

    def maps_of(self, features: tf.Tensor, mask: tf.Tensor) -> Outputs:
        """Returns all outputs with every map, for an explanation."""
        return self._outputs(features, mask, every_map=True)

    def speaker_bodies(self, framed: Framed) -> dict[str, Callable[..., Outputs]]:
        """Returns the functions of the adapted track on features that were computed before."""
        return self.adapted_speakers.bodies(lambda waveform, length: framed, self._outputs)

    @property
    def adapted_speakers(self) -> SpeakerSignatures:
        """The signatures of the adapted track, of a member that has it."""
        if self.speakers is None:
            raise AttributeError(f"{self.model.name}: has no adapted track")
        return self.speakers


class EnsembleSpeakers:
    """The signatures `enrol`, `enrol_embedding` and `adapted` of an ensemble.

    They are those of `SpeakerSignatures`. Each member has statistics of its own, whose names begin
    with its number: `member0_frame_statistics`.

    Args:
        module: the ensemble.

    Attributes:
        export_id: int. Of all members together.
    """

    def __init__(self, module: EnsembleModule):
        self.module = module
        self.numbers = module.served.on("adapted")
        self.speakers = {number: module.members[number].adapted_speakers for number in self.numbers}
        ids = [self.speakers[number].export_id for number in self.numbers]
        self.export_id = int(hashlib.sha256(repr(ids).encode()).hexdigest()[:ID_DIGITS], 16)

    def functions(self) -> dict[str, Callable[..., Outputs]]:
        """Returns the functions to export, by signature name."""
        module = self.module

        def enrol(waveform: tf.Tensor, length: tf.Tensor) -> Outputs:
            outputs = self._by_member("enrol", {"waveform": waveform, "length": length})
            rows = _joined({n: outputs[n] for n in self.numbers})
            return rows | {"export_id": tf.fill(tf.shape(length), self._id())}

        def enrol_embedding(**values: tf.Tensor) -> Outputs:
            return _joined(self._by_member("enrol_embedding", values))

        def adapted(**values: tf.Tensor) -> Outputs:
            outputs = self._by_member("adapted", values)
            mean = module.mean(
                [outputs[number]["probabilities"] for number in self.numbers], self.numbers
            )
            tracks = tf.stack([outputs[number]["track"] for number in self.numbers])
            # Members may ask for different amounts of speech.
            is_blind = tf.reduce_all(tf.equal(tracks, "blind"), axis=0)
            return {**mean, "track": tf.where(is_blind, "blind", "adapted")}

        waves = {
            "waveform": tf.TensorSpec((None, None), tf.float32, "waveform"),
            "length": tf.TensorSpec((None,), tf.int32, "length"),
        }
        identity = {"export_id": tf.TensorSpec((None,), tf.int64, "export_id")}
        every = {
            prefixed(number, name): tf.TensorSpec((None, None), tf.float32, prefixed(number, name))
            for number, speakers in self.speakers.items()
            for name in speakers.inputs.sizes
        }
        first = {name: spec for name, spec in every.items() if not name.endswith(EMBEDDING)}
        signatures = {
            "enrol": (enrol, waves),
            "enrol_embedding": (enrol_embedding, waves | identity | first),
            "adapted": (adapted, waves | identity | every),
        }
        return {
            name: tf.function(function).get_concrete_function(**inputs)
            for name, (function, inputs) in signatures.items()
        }

    def example(self) -> dict[str, np.ndarray]:
        """Returns the statistics of an average speaker, one row of each input, for warm-up."""
        rows = {"export_id": np.array([self.export_id], np.int64)}
        for number, speakers in self.speakers.items():
            rows |= {
                prefixed(number, name): row
                for name, row in speakers.example().items()
                if name != "export_id"
            }
        return rows

    def _by_member(self, signature: str, values: Outputs) -> dict[int, Outputs]:
        """Returns what each member answers to a signature of the adapted track, by number."""
        waveform, length = values["waveform"], values["length"]
        if "export_id" in values:
            same = require(
                tf.equal(values["export_id"], self._id()),
                f"export_id is not {self.export_id}: the statistics are those of another model. "
                "Enrol the speaker with this one.",
            )
            with tf.control_dependencies([same]):
                waveform, length = tf.identity(waveform), tf.identity(length)
        framed = self.module.features_of_all(waveform, length)
        outputs = {}
        for number, speakers in self.speakers.items():
            inputs = {"waveform": waveform, "length": length} | {
                name: values[prefixed(number, name)]
                for name in speakers.inputs.sizes
                if prefixed(number, name) in values
            }
            if "export_id" in values:
                own_id = tf.constant(speakers.export_id, tf.int64)
                inputs["export_id"] = tf.fill(tf.shape(length), own_id)
            bodies = self.module.members[number].speaker_bodies(framed[number])
            outputs[number] = bodies[signature](**inputs)
        return outputs

    def _id(self) -> tf.Tensor:
        return tf.constant(self.export_id, tf.int64)


def prefixed(number: int, name: str) -> str:
    """Returns the name of a member's statistics in the signatures of an ensemble.

    Example:
        >>> prefixed(0, "frame_statistics")
        'member0_frame_statistics'
    """
    return f"member{number}_{name}"


def _joined(outputs: dict[int, Outputs]) -> Outputs:
    return {
        prefixed(number, name): rows
        for number, by_name in outputs.items()
        for name, rows in by_name.items()
        if name != "export_id"
    }


def _name_of(spec: FrameSpec) -> str:
    return json.dumps(spec.to_dict(), sort_keys=True)
