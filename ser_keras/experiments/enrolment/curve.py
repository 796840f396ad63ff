"""UA on the adapted track by seconds of enrolment, beside the blind answer on the same speech.

Of every test speaker some recordings are drawn and enrolled, without labels, and the speaker's
other recordings are scored, blind and adapted. Draws differ in what they enrol and so in what they
score; their confusions are added up. With everything enrolled every recording is scored, as on the
adapted track of `ser crossval`.

Enrolments of a single emotion are the hardest case: a voice that was only heard in anger. There a
label decides which recordings are enrolled; the model does not know it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras import metrics
from ser_keras.data.seeds import mixed_seed
from ser_keras.errors import ConfigError
from ser_keras.experiments import provenance
from ser_keras.experiments.enrolment.draws import draw_known
from ser_keras.experiments.evaluate import TrainedFold, open_fold, trained_folds
from ser_keras.experiments.provenance import class_set_dict, protocol_facts
from ser_keras.protocols import Protocol
from ser_keras.training.predict import Scorer, Scores

SECONDS = (5.0, 15.0, 30.0, 60.0)
# Less than recipes adapt to, and more.
EMOTION_SECONDS = (5.0, 15.0)
ANY_ONE = "any one"
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Condition:
    """How much is known of a test speaker.

    Args:
        seconds: float or None. About how much speech; all recordings where it is None.
        emotion: str. Only recordings of this class; of any where it is empty.
    """

    seconds: float | None
    emotion: str = ""


class Counts:
    """Confusions of one condition by speaker, blind and adapted, added up over draws."""

    def __init__(self) -> None:
        self.by_track: dict[str, dict[str, np.ndarray]] = {"blind": {}, "adapted": {}}
        self.enrolled_s: list[float] = []

    def add(self, track: str, by_speaker: Mapping[str, Sequence[Sequence[int]]]) -> None:
        """Adds the confusions of a draw."""
        total = self.by_track[track]
        for speaker, counts in by_speaker.items():
            total[speaker] = total.get(speaker, 0) + np.asarray(counts)

    def confusions(self, track: str) -> dict[str, list[list[int]]]:
        """Returns the confusions of all draws, by speaker."""
        return {name: counts.tolist() for name, counts in self.by_track[track].items()}


def enrolment_curve(
    run: Path,
    features: Path,
    *,
    seconds: Sequence[float] = SECONDS,
    draws: int = 5,
    seed: int = 0,
    folds: Sequence[str] = (),
    command: str = "",
    progress: Progress = lambda fold, done, total: None,
) -> dict[str, Any]:
    """Returns UA blind and adapted by what is enrolled, for the finished folds of a run.

    Args:
        run: folder of `ser crossval` with a recipe of the adapted track.
        features: output folder of `ser features`.
        seconds: how much speech of a speaker is enrolled; all of it is always added.
        draws: int. Random enrolments of each amount.
        seed: int. Of the draws.
        folds: names of finished folds; all of them when empty.
        command: the command line, for the record.
        progress: called as (fold, scored draws, all draws).

    Returns:
        dict ready for JSON. "enrolments" has an entry for every amount, for 15 s of each single
        emotion, and for 5 s and 15 s of whichever single emotion ("emotion": "any one"):
        "enrolled_s" (mean over speakers and draws), "ua" and "blind_ua" with their intervals over
        speakers, "difference" (adapted above blind, with the ends of its paired interval) and
        "utterances" (scored in all draws).

    Raises:
        ConfigError: no finished fold, a fold that is unknown, a run of the blind track, or numbers
            of seconds or draws that are not positive.
        SchemaError: features of another spec.
    """
    if draws < 1 or not seconds or min(seconds) <= 0:
        raise ConfigError(
            f"enrolment curve: found {draws} draws of {', '.join(map(str, seconds)) or 'no'} "
            "seconds, expected positive numbers."
        )
    protocol = Protocol.load(run / "protocol.json")
    names = list(folds) or trained_folds(run)
    counts: dict[Condition, Counts] = {}
    for name in names:
        trained = open_fold(run, features, name)
        _check_adapted(run, trained)
        conditions = [Condition(amount) for amount in (*seconds, None)]
        conditions += [
            Condition(amount, emotion)
            for emotion in protocol.class_set.classes
            for amount in EMOTION_SECONDS
        ]
        _score_fold(trained, conditions, draws, seed, counts, progress)
    return {
        "model": trained.config.model.name,
        "settings": trained.config.settings,
        "seed": trained.config.seed,
        "dataset": trained.feature_set.schema.name,
        "spec": trained.feature_set.schema.spec_name,
        "class_set": class_set_dict(protocol.class_set),
        "protocol": protocol_facts(protocol) | {"folds_run": len(names)},
        "folds": names,
        "draws": draws,
        "draws_seed": seed,
        "enrolments": _enrolments(counts),
        "command": command,
        "versions": provenance.versions(),
        "commit": provenance.git_commit(),
    }


def _check_adapted(run: Path, trained: TrainedFold) -> None:
    if trained.config.track != "adapted":
        raise ConfigError(
            f"{run}: was trained for the blind track alone, which enrols nobody. Give a run with "
            "normalizer: speaker and adaptation.blind_share below 1."
        )


def _score_fold(
    trained: TrainedFold,
    conditions: Sequence[Condition],
    draws: int,
    seed: int,
    counts: dict[Condition, Counts],
    progress: Progress,
) -> None:
    """Scores the draws of every condition, and adds their confusions to `counts`."""
    scorer = Scorer(trained.model, trained.part, trained.config.batch, keep=True)
    blind, least_s = scorer.blind(), trained.config.adaptation.least_s
    rows = {row.key: row for row in trained.part.rows}
    speaker_of = {key: row.speaker for key, row in rows.items()}
    speakers = len(set(speaker_of.values()))
    # Without a choice there is one way to enrol everything.
    tasks = [(c, draw) for c in conditions for draw in range(draws if c.seconds else 1)]
    for done, (condition, draw) in enumerate(tasks, start=1):
        known = _known(trained, condition, mixed_seed(seed, trained.name, draw))
        enrolled = set(known if condition.seconds else ())
        left = [key for key in rows if key not in enrolled]
        adapted = scorer.adapted(least_s, known)
        counted = counts.setdefault(condition, Counts())
        counted.enrolled_s += [sum(rows[key].duration_s for key in known) / speakers] * speakers
        for track, scores in (("blind", blind), ("adapted", adapted)):
            counted.add(track, _by_speaker(scores, left, speaker_of, trained))
        progress(trained.name, done, len(tasks))


def _known(trained: TrainedFold, condition: Condition, seed: int) -> tuple[str, ...]:
    """Returns the keys of the recordings that a condition enrols."""
    rows = trained.part.rows
    if condition.seconds is None:
        return tuple(row.key for row in rows)
    class_set = trained.class_set
    return draw_known(
        rows,
        condition.seconds,
        seed,
        lambda row: not condition.emotion or class_set.class_of(row.label) == condition.emotion,
    )


def _by_speaker(
    scores: Scores, keys: Sequence[str], speaker_of: Mapping[str, str], trained: TrainedFold
) -> dict[str, list[list[int]]]:
    rows = np.flatnonzero(np.isin(scores.keys, list(keys)))
    return metrics.confusion_by_speaker(
        scores.classes[rows],
        scores.predicted[rows],
        [speaker_of[key] for key in scores.keys[rows]],
        len(trained.class_set.classes),
    )


def _enrolments(counts: Mapping[Condition, Counts]) -> list[dict[str, Any]]:
    rows = [
        _enrolment(condition, counted)
        for condition, counted in counts.items()
        if not condition.emotion or condition.seconds == EMOTION_SECONDS[-1]
    ]
    for seconds in EMOTION_SECONDS:
        together = Counts()
        for condition, counted in counts.items():
            if condition.emotion and condition.seconds == seconds:
                together.enrolled_s += counted.enrolled_s
                for track in together.by_track:
                    together.add(track, counted.confusions(track))
        rows.append(_enrolment(Condition(seconds, ANY_ONE), together))
    return rows


def _enrolment(condition: Condition, counted: Counts) -> dict[str, Any]:
    adapted, blind = counted.confusions("adapted"), counted.confusions("blind")
    ua, *interval = metrics.mean_over_seeds([adapted])
    blind_ua, *blind_interval = metrics.mean_over_seeds([blind])
    return {
        "seconds": condition.seconds,
        "emotion": condition.emotion,
        "enrolled_s": float(np.mean(counted.enrolled_s)),
        "ua": ua,
        "ua_interval": interval,
        "blind_ua": blind_ua,
        "blind_ua_interval": blind_interval,
        "difference": list(metrics.difference_over_seeds([adapted], [blind])),
        "utterances": int(np.sum(list(counted.by_track["adapted"].values()))),
        "speakers": len(adapted),
    }
