"""The adapted track of an ensemble's export: each member has statistics of a speaker of its own."""

import hashlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from serving.export.ensembles.member import Framed, MemberModule
from serving.export.graph_inputs import require
from serving.export.signatures import Outputs
from serving.export.speaker_signatures import EMBEDDING, ID_DIGITS


class EnsembleSpeakers:
    """The signatures `enrol`, `enrol_embedding` and `adapted` of an ensemble.

    They are those of `SpeakerSignatures`. Each member has statistics of its own, whose names begin
    with its number: `member0_frame_statistics`.

    Args:
        members: those that have an adapted track, by number.
        features_of_all: returns features and mask for every member of the ensemble, by number,
            given waveform and length.
        blind: returns the outputs of the blind track, given features and mask of every member.
        mean: returns the outputs of the weighted mean, given probabilities and numbers of members.

    Attributes:
        export_id: int. Of all members together.
    """

    def __init__(
        self,
        members: Mapping[int, MemberModule],
        features_of_all: Callable[[tf.Tensor, tf.Tensor], Sequence[Framed]],
        blind: Callable[[Sequence[Framed]], Outputs],
        mean: Callable[[Sequence[tf.Tensor], Sequence[int]], Outputs],
    ):
        self.members, self.features_of_all = members, features_of_all
        self.blind, self.mean = blind, mean
        self.numbers = list(members)
        self.speakers = {number: member.adapted_speakers for number, member in members.items()}
        ids = [self.speakers[number].export_id for number in self.numbers]
        self.export_id = int(hashlib.sha256(repr(ids).encode()).hexdigest()[:ID_DIGITS], 16)

    def functions(self) -> dict[str, Callable[..., Outputs]]:
        """Returns the functions to export, by signature name."""

        def enrol(waveform: tf.Tensor, length: tf.Tensor) -> Outputs:
            framed = self.features_of_all(waveform, length)
            outputs = self._by_member("enrol", {"waveform": waveform, "length": length}, framed)
            return _joined(outputs) | {"export_id": tf.fill(tf.shape(length), self._id())}

        def enrol_embedding(**values: tf.Tensor) -> Outputs:
            values = self._checked(values)
            framed = self.features_of_all(values["waveform"], values["length"])
            return _joined(self._by_member("enrol_embedding", values, framed))

        def adapted(**values: tf.Tensor) -> Outputs:
            values = self._checked(values)
            framed = self.features_of_all(values["waveform"], values["length"])
            outputs = self._by_member("adapted", values, framed)
            mean = self.mean(
                [outputs[number]["probabilities"] for number in self.numbers], self.numbers
            )
            # A member made for the adapted track alone knows nothing of unknown speakers, and so
            # all members have to have enough speech; they may ask for different amounts.
            tracks = tf.stack([outputs[number]["track"] for number in self.numbers])
            is_blind = tf.reduce_any(tf.equal(tracks, "blind"), axis=0)
            answers = {
                name: tf.where(_beside(is_blind, values), blind, values)
                for name, blind in self.blind(framed).items()
                for values in [mean[name]]
            }
            return {**answers, "track": tf.where(is_blind, "blind", "adapted")}

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

    def _checked(self, values: Outputs) -> Outputs:
        """Returns the inputs of a request, after a check that its statistics are this export's."""
        same = require(
            tf.equal(values["export_id"], self._id()),
            f"export_id is not {self.export_id}: the statistics are those of another model. "
            "Enrol the speaker with this one.",
        )
        with tf.control_dependencies([same]):
            return values | {name: tf.identity(values[name]) for name in ("waveform", "length")}

    def _by_member(
        self, signature: str, values: Outputs, framed: Sequence[Framed]
    ) -> dict[int, Outputs]:
        """Returns what each member answers to a signature of the adapted track, by number."""
        waveform, length = values["waveform"], values["length"]
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
            bodies = self.members[number].speaker_bodies(framed[number])
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


def _beside(of_rows: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Returns one value per row in the rank of `values`, to choose whole rows by."""
    return tf.reshape(of_rows, (-1, *[1] * (values.shape.rank - 1)))


def _joined(outputs: dict[int, Outputs]) -> Outputs:
    return {
        prefixed(number, name): rows
        for number, by_name in outputs.items()
        for name, rows in by_name.items()
        if name != "export_id"
    }
