"""An ensemble on disk: its members found again, and their models run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras import metrics
from ser_keras.adaptation.speakers import speakers_below
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, SchemaError, unknown_name
from ser_keras.experiments.ensemble.members import MEMBERS
from ser_keras.experiments.ensemble.scoring import weighted_mean, with_blind_answers
from ser_keras.experiments.evaluate import TrainedFold, open_fold, trained_folds
from ser_keras.training.history import read_fold_record
from ser_keras.training.predict import Scores, predict


@dataclass(frozen=True)
class StoredMember:
    """A member of an ensemble's fold.

    Args:
        name: str. Its name in the ensemble.
        run: Path. Its run.
        weight: float. Its share in the mean.
        tracks: tuple of str. The tracks that it has.
        record: mapping. The `fold.json` of its training.
    """

    name: str
    run: Path
    weight: float
    tracks: tuple[str, ...]
    record: Mapping[str, Any]

    @property
    def spec(self) -> str:
        """Name of the features that it was trained on."""
        name: str = self.record["config"]["spec"]
        return name


def read_fold(run: Path, fold: str | None = None) -> dict[str, Any]:
    """Returns the record of an ensemble's fold.

    Args:
        run: folder of `ser ensemble`.
        fold: name of the fold; may be left out where there is only one.

    Raises:
        ConfigError: the folder has no folds, or the fold is unknown or not given.
    """
    names = trained_folds(run)
    if fold is None and len(names) > 1:
        raise ConfigError(f"{run}: has folds {', '.join(names)}; say which with --fold.")
    name = fold or names[0]
    if name not in names:
        raise ConfigError(unknown_name("fold of the ensemble", name, names))
    return read_fold_record(run / "folds" / name / "fold.json")


def stored_members(
    run: Path, record: Mapping[str, Any], track: str | None = None
) -> list[StoredMember]:
    """Returns the members of an ensemble's fold.

    Args:
        run: folder of `ser ensemble`.
        record: the fold's, see `read_fold`.
        track: only those that have this track; all where it is None.

    Raises:
        SchemaError: a member's run is gone, or was trained again.
    """
    members = []
    for facts in record[MEMBERS]:
        path = run / facts["run"] / "folds" / record["fold"] / "fold.json"
        if not path.is_file():
            raise SchemaError(
                f"{run}: found no {path}, expected the member {facts['name']}. Put its run back "
                "there, or make the ensemble again with ser ensemble."
            )
        stored = read_fold_record(path)
        if stored["weights_sha256"] != facts["weights_sha256"]:
            raise SchemaError(
                f"{path}: found weights {stored['weights_sha256'][:12]}, the ensemble {run} was "
                f"scored with {facts['weights_sha256'][:12]}. Run ser ensemble again."
            )
        member_run = (run / facts["run"]).resolve()
        members.append(
            StoredMember(facts["name"], member_run, facts["weight"], tuple(facts["tracks"]), stored)
        )
    return [member for member in members if track is None or track in member.tracks]


def features_of(member: StoredMember, feature_sets: Sequence[FeatureSet]) -> FeatureSet:
    """Returns the feature set of a member's kind.

    Raises:
        ConfigError: it is not among those that were given.
    """
    for feature_set in feature_sets:
        if feature_set.schema.spec_name == member.spec:
            return feature_set
    known = ", ".join(feature_set.schema.spec_name for feature_set in feature_sets)
    raise ConfigError(
        f"--features: found {known or 'none'}, expected {member.spec!r} for the member "
        f"{member.name}. Give --features once for each kind of features of the members."
    )


def evaluate_ensemble(
    run: Path,
    feature_sets: Sequence[FeatureSet],
    *,
    fold: str | None = None,
    whole: bool = False,
) -> dict[str, Any]:
    """Returns the summary of an ensemble's scores, by its members' models.

    Args:
        run: folder of `ser ensemble`.
        feature_sets: one for each kind of features of the members, of the same utterances.
        fold: the fold whose models are scored; needed only if there are several.
        whole: score every utterance of the class set instead of the fold's test part.

    Raises:
        ConfigError: unknown or ambiguous fold, or features that are missing or of other utterances.
        SchemaError: a member is gone or was trained again.
    """
    record = read_fold(run, fold)
    track = record["track"]
    members = stored_members(run, record, track)
    opened = [_opened(member, feature_sets, record["fold"], whole) for member in members]
    mean = _mean_on(track, members, opened)
    rows = {row.key: row for row in opened[0].part.rows}
    if track == "adapted" and "blind" in record["tracks"]:
        # As in `mean_scores`: a member for the adapted track alone has no answer for strangers.
        least_s = max(trained.config.adaptation.least_s for trained in opened)
        strangers = speakers_below(least_s, rows.values())
        short = [key for key, row in rows.items() if f"{row.corpus}/{row.speaker}" in strangers]
        if short:
            among = stored_members(run, record, "blind")
            more = [_opened(member, feature_sets, record["fold"], whole) for member in among]
            mean = with_blind_answers(mean, _mean_on("blind", among, more), short)
    return {
        "fold": record["fold"],
        "scored": "every utterance of the features" if whole else "the fold's test part",
        "dataset": opened[0].feature_set.schema.name,
        "members": [member.name for member in members],
        "track": track,
    } | metrics.summarize(
        mean.classes,
        mean.probabilities,
        [rows[key].speaker for key in mean.keys],
        opened[0].class_set.classes,
    )


def _opened(
    member: StoredMember, feature_sets: Sequence[FeatureSet], fold: str, whole: bool
) -> TrainedFold:
    path = features_of(member, feature_sets).path
    return open_fold(member.run, path, fold, whole=whole)


def _mean_on(track: str, members: Sequence[StoredMember], opened: Sequence[TrainedFold]) -> Scores:
    """Returns the mean of the members' scores on a track."""
    scores = [
        predict(
            *(trained.model, trained.part, trained.config.batch),
            *(track, trained.config.adaptation.least_s),
        )
        for trained in opened
    ]
    return mean_of(scores, [member.weight for member in members])


def mean_of(scores: Sequence[Scores], weights: Sequence[float]) -> Scores:
    """Returns the weighted mean of the scores of the same utterances.

    Raises:
        ConfigError: they are of other utterances.
    """
    first, *others = scores
    for other in others:
        if not np.array_equal(first.keys, other.keys):
            raise ConfigError(
                f"ensemble: found scores of {len(other.keys)} and of {len(first.keys)} utterances, "
                "expected the same ones from all members. Give features of one corpus."
            )
    mean = weighted_mean([member_scores.probabilities for member_scores in scores], weights)
    return Scores(first.keys, first.classes, mean)
