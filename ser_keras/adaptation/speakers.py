"""The inputs of a model that depend on the speaker, for scoring: on either track."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np

from ser_keras.adaptation.moments import moments, unknown
from ser_keras.adaptation.utterances import Affine, SpeakerPart, UtteranceMoments
from ser_keras.config import TrainConfig
from ser_keras.data.part import FoldPart
from ser_keras.errors import ConfigError
from ser_keras.layers.speaker_normalization import UNKNOWN

TRACKS = ("blind", "adapted")


def takes_speakers(model: keras.Model) -> bool:
    """Tells whether a model has the statistics of a speaker among its inputs."""
    return "frame_statistics" in model.input


def check_takes_speakers(config: TrainConfig, model: keras.Model) -> None:
    """Checks that a model is built for the normaliser of its recipe.

    Raises:
        ConfigError: `normalizer: speaker` and a model without statistics of a speaker, the reverse,
            or utterances cut into segments, of which a speaker's statistics know nothing.
    """
    if takes_speakers(model) != (config.normalizer == "speaker"):
        raise ConfigError(
            f"config: normalizer is {config.normalizer!r}, and model {config.model.name} is built "
            f"{'with' if takes_speakers(model) else 'without'} statistics of a speaker. Set both "
            "normalizer: speaker and model.options.speaker, or neither."
        )
    if config.normalizer == "speaker" and config.batch.segment_frames:
        raise ConfigError(
            f"config: batch.segment_frames is {config.batch.segment_frames} with normalizer "
            "'speaker', expected 0: statistics of a speaker are those of whole utterances."
        )


def speakers_below(least_s: float, rows: Iterable[Any]) -> list[str]:
    """Returns the speakers with less speech than `least_s` in all, as `corpus/speaker`.

    Args:
        least_s: float. In seconds.
        rows: objects with `corpus`, `speaker` and `duration_s`.

    Example:
        >>> from types import SimpleNamespace
        >>> rows = [SimpleNamespace(corpus="c", speaker=name, duration_s=6.0) for name in "aab"]
        >>> speakers_below(10.0, rows)
        ['c/b']
    """
    seconds: dict[str, float] = {}
    for row in rows:
        speaker = f"{row.corpus}/{row.speaker}"
        seconds[speaker] = seconds.get(speaker, 0.0) + row.duration_s
    return sorted(speaker for speaker, total_s in seconds.items() if total_s < least_s)


def affine_of(model: keras.Model, layer: str = "normalizer") -> Affine:
    """Returns offset and scale of a normaliser inside of a model, float32 (dim,) each."""
    normalizer = model.get_layer(layer)
    convert = keras.ops.convert_to_numpy
    return convert(normalizer.offset), convert(normalizer.scale)


def utterance_moments(model: keras.Model, speech: SpeakerPart) -> UtteranceMoments:
    """Returns the moments of utterances, as the normalisers of a model standardise them."""
    functional = affine_of(model, "functional_normalizer") if speech.with_functionals else None
    return UtteranceMoments.of(speech, affine_of(model), functional)


@dataclass(frozen=True)
class Enrolment:
    """What a model is told of the speakers of a part, beside the features of an utterance.

    Args:
        speech: the utterances.
        row_of: mapping of key to row in the tables.
        tables: mapping of input name to its values, (utterances, values) each.
        adapted: frozenset of str. Speakers whose own statistics are used.
    """

    speech: SpeakerPart
    row_of: Mapping[str, int]
    tables: Mapping[str, np.ndarray]
    adapted: frozenset[str]

    def inputs(self, keys: Iterable[str]) -> dict[str, np.ndarray]:
        """Returns the inputs of a batch of utterances, beside features and mask."""
        rows = [self.row_of[key] for key in keys]
        return {name: table[rows] for name, table in self.tables.items()} | {
            "speaker": np.full(len(rows), UNKNOWN, np.int32)
        }


class Enroller:
    """Makes the inputs of a model that depend on the speakers of a part, from its features alone.

    Args:
        model: keras.Model.
        part: the utterances; of their classes nothing is used.
    """

    def __init__(self, model: keras.Model, part: FoldPart):
        self.model = model
        self.speech = SpeakerPart(part, "functionals" in model.input)

    @cached_property
    def utterance_moments(self) -> UtteranceMoments:
        """The moments of every utterance, as the model standardises them."""
        return utterance_moments(self.model, self.speech)

    def blind(self) -> Enrolment:
        """Returns the inputs of a model that is told nothing of any speaker."""
        return _enrolment(self.model, self.speech, {}, frozenset())

    def enrolled(
        self,
        embeddings: Mapping[str, np.ndarray] | None = None,
        least_s: float = 0.0,
        known: Collection[str] | None = None,
    ) -> Enrolment:
        """Returns the inputs of a model that knows recordings of each speaker.

        A recording tells of its own speaker alone.

        Args:
            embeddings: mapping of key to the model's output "embedding", made with the statistics
                of frames and functionals; None before they are made.
            least_s: float. A speaker with less known speech than this is not adapted to.
            known: keys of the recordings that are known; all of the part where it is None.

        Raises:
            ConfigError: a known recording is not in the part.
        """
        keys, duration_s = self.speech.keys, self.speech.durations_s
        if strangers := sorted(set(known or ()) - set(keys)):
            raise ConfigError(
                f"enrolment: found {len(strangers)} recordings outside of the part that is scored, "
                f"such as {strangers[0]}, expected recordings of its speakers in the part."
            )
        chosen = set(keys if known is None else known)
        statistics: dict[str, dict[str, np.ndarray]] = {}
        for name, numbers in self.speech.by_speaker().items():
            numbers = np.array([number for number in numbers if keys[number] in chosen], int)
            if not len(numbers) or sum(duration_s[number] for number in numbers) < least_s:
                continue
            frames, functionals = self.utterance_moments.statistics(numbers)
            statistics[name] = {"frame_statistics": frames, "functional_statistics": functionals}
            if embeddings is not None:
                rows = np.stack([embeddings[keys[number]] for number in numbers])
                statistics[name]["embedding_statistics"] = moments(rows)
        return _enrolment(self.model, self.speech, statistics, frozenset(statistics))


def _enrolment(
    model: keras.Model,
    speech: SpeakerPart,
    statistics: Mapping[str, Mapping[str, np.ndarray]],
    adapted: frozenset[str],
) -> Enrolment:
    tables: dict[str, np.ndarray] = {}
    for name in model.input:
        if not name.endswith("_statistics"):
            continue
        nothing = unknown((model.input[name].shape[-1] - 1) // 2)
        rows = [statistics.get(speaker, {}).get(name, nothing) for speaker in speech.speakers]
        tables[name] = np.stack(rows).astype(np.float32)
    if speech.with_functionals:
        tables["functionals"] = speech.functionals
    row_of = {key: number for number, key in enumerate(speech.keys)}
    return Enrolment(speech, row_of, tables, adapted)
