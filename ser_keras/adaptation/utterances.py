"""The utterances of a part in memory, with what normalisation by speaker needs of each."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ser_keras.adaptation.functionals import functionals_of
from ser_keras.adaptation.moments import merged, moments
from ser_keras.data.part import FoldPart
from ser_keras.features.statistics import FeatureStatistics

# A smaller deviation is that of rounding errors, since values are of the order of 1 or more.
LEAST_DEVIATION = 1e-5

Affine = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class SpeakerPart:
    """The utterances of a part, in key order of the part's dataset, by speaker.

    Args:
        part: the utterances.
        with_functionals: bool. Whether the model has the functionals beside its attention.
        like: SpeakerPart or None. Features and functionals are shifted and scaled so that they have
            the mean and the deviation of this part: what a corpus and its recordings are like is
            then no feature of its emotions.
    """

    part: FoldPart
    with_functionals: bool
    like: "SpeakerPart | None" = None
    _read: list[dict[str, Any]] = field(default_factory=list, repr=False)

    @cached_property
    def keys(self) -> list[str]:
        """Keys of the utterances."""
        return [example["key"].decode() for example in self._examples]

    @cached_property
    def features(self) -> list[np.ndarray]:
        """Features of the utterances, float32 (frames, dim) each."""
        features = [example["features"] for example in self._examples]
        if self.like is None:
            return features
        own, other = FeatureStatistics.fit(features), self.like.frame_statistics
        return [matched(values, own, other) for values in features]

    @cached_property
    def frame_statistics(self) -> FeatureStatistics:
        """Statistics of the features over the part; every joint set is matched with them."""
        return FeatureStatistics.fit(self.features)

    @cached_property
    def classes(self) -> np.ndarray:
        """Classes of the utterances, int64 (n,)."""
        return np.array([example["class"] for example in self._examples], np.int64)

    @cached_property
    def functionals(self) -> np.ndarray:
        """Functionals of the utterances, float32 (n, functionals); (n, 0) without."""
        if not self.with_functionals:
            return np.zeros((len(self.keys), 0), np.float32)
        vectors = functionals_of(self.part)
        functionals = np.stack([vectors[key] for key in self.keys])
        if self.like is None:
            return functionals
        own = _of_functionals(functionals)
        return matched(functionals, own, self.like.functional_statistics())

    @cached_property
    def speakers(self) -> list[str]:
        """Speakers of the utterances, by corpus and name."""
        row_of = {row.key: row for row in self.part.feature_set.rows}
        return [f"{row_of[key].corpus}/{row_of[key].speaker}" for key in self.keys]

    @cached_property
    def durations_s(self) -> list[float]:
        """Durations of the utterances, in seconds."""
        row_of = {row.key: row for row in self.part.feature_set.rows}
        return [row_of[key].duration_s for key in self.keys]

    @cached_property
    def seconds(self) -> dict[str, float]:
        """Seconds of speech of each speaker."""
        seconds: dict[str, float] = {}
        for speaker, duration_s in zip(self.speakers, self.durations_s, strict=True):
            seconds[speaker] = seconds.get(speaker, 0.0) + duration_s
        return seconds

    def functional_statistics(self) -> FeatureStatistics:
        """Returns the statistics of the functionals over the part, for the model's normaliser."""
        return _of_functionals(self.functionals)

    def by_speaker(self) -> dict[str, np.ndarray]:
        """Returns the numbers of each speaker's utterances, speakers in order of their names."""
        speakers = np.array(self.speakers)
        return {str(name): np.flatnonzero(speakers == name) for name in np.unique(speakers)}

    @property
    def _examples(self) -> list[dict[str, Any]]:
        if not self._read:
            self._read.extend(self.part.utterances.as_numpy_iterator())
        return self._read


@dataclass(frozen=True)
class UtteranceMoments:
    """The moments of every utterance, which make those of any choice of a speaker's utterances.

    Args:
        frames: float64 (n, 1 + 2 dim). Over the frames of each utterance.
        functionals: float64 (n, 1 + 2 functionals), with a count of 1.
    """

    frames: np.ndarray
    functionals: np.ndarray

    @classmethod
    def of(
        cls, speech: SpeakerPart, frame_affine: Affine, functional_affine: Affine | None
    ) -> "UtteranceMoments":
        """Returns the moments of a part's utterances.

        Args:
            speech: the utterances.
            frame_affine: offset and scale that standardise the frames on the training part.
            functional_affine: the same for the functionals; None without.
        """
        frames = np.stack([moments(_scaled(values, frame_affine)) for values in speech.features])
        if functional_affine is None:
            return cls(frames, np.zeros((len(frames), 1)))
        functionals = _scaled(speech.functionals, functional_affine)
        return cls(frames, np.stack([moments(row[None]) for row in functionals]))

    def statistics(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the statistics of frames and functionals over one utterance or more."""
        return merged(self.frames[numbers]), merged(self.functionals[numbers])


def matched(values: np.ndarray, own: FeatureStatistics, other: FeatureStatistics) -> np.ndarray:
    """Returns values with the mean and deviation of others in the place of their own.

    Args:
        values: (n, dim).
        own: statistics of a whole that the values are part of.
        other: the statistics that the whole then has.

    Returns:
        float32 (n, dim).
    """
    changes = own.std > LEAST_DEVIATION
    scale = np.where(changes, other.std / np.where(changes, own.std, 1.0), 0.0)
    return ((values - own.mean) * scale + other.mean).astype(np.float32)


def _of_functionals(functionals: np.ndarray) -> FeatureStatistics:
    """Returns the statistics of functionals; those that differ by rounding alone are constant."""
    statistics = FeatureStatistics.fit([functionals])
    constant = statistics.std < LEAST_DEVIATION * (1.0 + np.abs(statistics.mean))
    return replace(statistics, std=np.where(constant, 0.0, statistics.std))


def _scaled(values: np.ndarray, affine: Affine) -> np.ndarray:
    offset, scale = affine
    return (np.asarray(values, np.float64) - offset) * scale
