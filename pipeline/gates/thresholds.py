"""Decides whether a model's scores are good enough: limits on slices and on drops of their scores.

Without any limit nothing is blessed. A limit on drops needs a blessed evaluation to compare with;
while there is none, it is not judged, and the verdict says so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ser_keras.errors import ConfigError, unknown_name

SLICES = ("all", "corpus", "gender", "speaker", "duration")

Limits = Mapping[str, Mapping[str, float]]


def _interval_low(name: str) -> Any:
    return lambda scores: scores[f"{name}_interval"][0]


# Measures that can have limits; higher is better for all of them.
MEASURES = {
    "ua": lambda scores: scores["ua"],
    "wa": lambda scores: scores["wa"],
    "macro_f1": lambda scores: scores["macro_f1"],
    "ua_low": _interval_low("ua"),
    "wa_low": _interval_low("wa"),
}


@dataclass(frozen=True)
class Verdict:
    """The result of judging a model.

    Args:
        reasons: why it is not blessed; empty if it is.
        notes: what was not judged, and why.
    """

    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def judge(
    evaluation: Mapping[str, Any],
    lowest: Limits,
    largest_drop: Limits,
    baseline: Mapping[str, Any] | None = None,
    min_utterances: int = 1,
) -> Verdict:
    """Compares scores with limits.

    Args:
        evaluation: see `evaluate`.
        lowest: mapping of slice (`all`, `gender`, ...) to mapping of measure to its lowest accepted
            score, for every value of the slice.
        largest_drop: the same with the largest accepted drop below the baseline's score.
        baseline: the last blessed evaluation; without it `largest_drop` is not judged.
        min_utterances: int. Smaller slices are reported but not judged.

    Raises:
        ConfigError: limits of an unknown slice or measure.
    """
    for name, limits in (("lowest", lowest), ("largest_drop", largest_drop)):
        _check_limits(name, limits)
    notes: list[str] = []
    if largest_drop and baseline is None:
        notes.append("largest_drop is not judged: there is no blessed evaluation yet")
        largest_drop = {}
    if not any(lowest.values()) and not any(largest_drop.values()):
        reasons = ["no limits are given (lowest, largest_drop): no limits, no blessing"]
        return Verdict(reasons, notes)
    judged = [*_judge_lowest(evaluation, lowest, min_utterances, notes)]
    if largest_drop and baseline is not None:
        judged += _judge_drops(evaluation, largest_drop, baseline, min_utterances, notes)
    reasons = [reason for reason in judged if reason]
    if not judged:
        reasons = ["every slice with limits is too small to be judged (min_utterances)"]
    return Verdict(reasons, list(dict.fromkeys(notes)))


def _check_limits(name: str, limits: Limits) -> None:
    for slice_name, measures in limits.items():
        if slice_name not in SLICES:
            raise ConfigError(f"{name}: {unknown_name('slice', str(slice_name), SLICES)}")
        if not isinstance(measures, Mapping):
            raise ConfigError(
                f"{name}: found {slice_name}: {measures!r}, expected measures with their limits, "
                "such as ua: 0.5."
            )
        for measure, limit in measures.items():
            if measure not in MEASURES:
                raise ConfigError(f"{name}: {unknown_name('measure', str(measure), MEASURES)}")
            if isinstance(limit, bool) or not isinstance(limit, int | float):
                raise ConfigError(f"{name}: found {measure}: {limit!r}, expected a number.")


def _scores_with_limits(
    evaluation: Mapping[str, Any], limits: Limits
) -> Iterator[tuple[str, Mapping[str, Any], str, float]]:
    """Yields (slice and value, scores, measure, limit) for the slices that have limits."""
    for name, measures in limits.items():
        for value, scores in evaluation["slices"].get(name, {}).items():
            label = name if name == value else f"{name} {value}"
            for measure, limit in measures.items():
                yield label, scores, measure, limit


def _judge_lowest(
    evaluation: Mapping[str, Any], lowest: Limits, min_utterances: int, notes: list[str]
) -> Iterator[str]:
    """Yields a text for each judged measure: why it is too low, empty if it is not."""
    for label, scores, measure, limit in _scores_with_limits(evaluation, lowest):
        if scores["utterances"] < min_utterances:
            notes.append(f"{label} is not judged: {scores['utterances']} utterances")
            continue
        score = MEASURES[measure](scores)
        # The comparison with NaN is false, so NaN does not pass.
        passes = score >= limit
        yield "" if passes else f"{label}: {measure} is {score:.3f}, at least {limit:g} is expected"


def _judge_drops(
    evaluation: Mapping[str, Any],
    largest_drop: Limits,
    baseline: Mapping[str, Any],
    min_utterances: int,
    notes: list[str],
) -> Iterator[str]:
    """Yields a text for each judged measure: why its drop is too large, empty if it is not."""
    for name, (current, blessed) in _settings_of_both(evaluation, baseline).items():
        if current != blessed:
            yield (
                f"largest_drop: found scores of {name} {current}, those of the blessed evaluation "
                f"are of {blessed}; they cannot be compared"
            )
            return
    now, before = (
        {
            (label, measure): (MEASURES[measure](scores), drop)
            for label, scores, measure, drop in _scores_with_limits(judged, largest_drop)
            if scores["utterances"] >= min_utterances
        }
        for judged in (evaluation, baseline)
    )
    for label, measure in sorted({*now, *before}):
        if (label, measure) not in now or (label, measure) not in before:
            notes.append(f"change of {label} is not judged: too few utterances, now or before")
            continue
        (score, drop), (earlier, _) = now[label, measure], before[label, measure]
        scores = f"{measure} is {score:.3f}, in the blessed evaluation {earlier:.3f}"
        passes = score >= earlier - drop
        yield "" if passes else f"{label}: {scores}, a drop of at most {drop:g} is expected"


def _settings_of_both(new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Returns the settings that must be equal before scores can be compared."""
    return {
        "dataset": (new["dataset"], old["dataset"]),
        "classes": (new["classes"], old["classes"]),
        "protocol": (new["protocol"]["name"], old["protocol"]["name"]),
        # An evaluation of an earlier version names no track and is blind.
        "track": (new.get("track", "blind"), old.get("track", "blind")),
    }
