"""Whether a model's scores are good enough: limits on slices, and on the change since the last one.

Without any limit nothing is blessed. A limit on the change needs a blessed evaluation to compare
with; where there is none yet it is not judged, and the verdict says so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ser_keras.errors import ConfigError, unknown_name

SLICES = ("all", "corpus", "gender", "speaker", "duration")

Limits = Mapping[str, Mapping[str, float]]


def _low(name: str) -> Any:
    return lambda scores: scores[f"{name}_interval"][0]


# What limits may be about: all are better when they are higher.
MEASURES = {
    "ua": lambda scores: scores["ua"],
    "wa": lambda scores: scores["wa"],
    "macro_f1": lambda scores: scores["macro_f1"],
    "ua_low": _low("ua"),
    "wa_low": _low("wa"),
}


@dataclass(frozen=True)
class Verdict:
    """What judging found.

    Args:
        reasons: why there is no blessing; empty where there is.
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
    """Holds scores against limits.

    Args:
        evaluation: see `evaluate`.
        lowest: mapping of slice (`all`, `gender`, ...) to mapping of measure to its lowest value,
            of each value of the slice.
        largest_drop: the same, how far below the baseline's a measure may be.
        baseline: the last blessed evaluation; without it `largest_drop` is not judged.
        min_utterances: int. Smaller slices are shown, not judged.

    Raises:
        ConfigError: limits of an unknown slice or measure.
    """
    for name, limits in (("lowest", lowest), ("largest_drop", largest_drop)):
        _check(name, limits)
    notes: list[str] = []
    if largest_drop and baseline is None:
        notes.append("largest_drop is not judged: there is no blessed evaluation yet")
        largest_drop = {}
    if not any(lowest.values()) and not any(largest_drop.values()):
        reasons = ["no limits are given (lowest, largest_drop): no limits, no blessing"]
        return Verdict(reasons, notes)
    judged = [*_below(evaluation, lowest, min_utterances, notes)]
    if largest_drop and baseline is not None:
        judged += _dropped(evaluation, largest_drop, baseline, min_utterances, notes)
    reasons = [reason for reason in judged if reason]
    if not judged:
        reasons = ["every slice with limits is too small to be judged (min_utterances)"]
    return Verdict(reasons, list(dict.fromkeys(notes)))


def _check(name: str, limits: Limits) -> None:
    for place, measures in limits.items():
        if place not in SLICES:
            raise ConfigError(f"{name}: {unknown_name('slice', str(place), SLICES)}")
        if not isinstance(measures, Mapping):
            raise ConfigError(
                f"{name}: found {place}: {measures!r}, expected measures with their limits, such "
                "as ua: 0.5."
            )
        for measure, limit in measures.items():
            if measure not in MEASURES:
                raise ConfigError(f"{name}: {unknown_name('measure', str(measure), MEASURES)}")
            if isinstance(limit, bool) or not isinstance(limit, int | float):
                raise ConfigError(f"{name}: found {measure}: {limit!r}, expected a number.")


def _limited(
    evaluation: Mapping[str, Any], limits: Limits
) -> Iterator[tuple[str, Mapping[str, Any], str, float]]:
    """Yields (place, scores, measure, limit) for each value of the slices that have limits."""
    for name, measures in limits.items():
        for value, scores in evaluation["slices"].get(name, {}).items():
            place = name if name == value else f"{name} {value}"
            for measure, limit in measures.items():
                yield place, scores, measure, limit


def _below(
    evaluation: Mapping[str, Any], lowest: Limits, min_utterances: int, notes: list[str]
) -> Iterator[str]:
    """Yields a reason for each measure that is too low, an empty one where it is not."""
    for place, scores, measure, limit in _limited(evaluation, lowest):
        if scores["utterances"] < min_utterances:
            notes.append(f"{place} is not judged: {scores['utterances']} utterances")
            continue
        found = MEASURES[measure](scores)
        # What is no number is not good.
        good = found >= limit
        yield "" if good else f"{place}: {measure} is {found:.3f}, at least {limit:g} is expected"


def _dropped(
    evaluation: Mapping[str, Any],
    largest_drop: Limits,
    baseline: Mapping[str, Any],
    min_utterances: int,
    notes: list[str],
) -> Iterator[str]:
    """Yields a reason for each measure that fell too far, an empty one where it did not."""
    for what, (found, expected) in _compared(evaluation, baseline).items():
        if found != expected:
            yield (
                f"largest_drop: found scores of {what} {found}, those of the blessed evaluation "
                f"are of {expected}; they cannot be compared"
            )
            return
    now, before = (
        {
            (place, measure): (MEASURES[measure](scores), drop)
            for place, scores, measure, drop in _limited(each, largest_drop)
            if scores["utterances"] >= min_utterances
        }
        for each in (evaluation, baseline)
    )
    for place, measure in sorted({*now, *before}):
        if (place, measure) not in now or (place, measure) not in before:
            notes.append(f"change of {place} is not judged: too few utterances, now or before")
            continue
        (found, drop), (was, _) = now[place, measure], before[place, measure]
        fell = f"{measure} is {found:.3f}, in the blessed evaluation {was:.3f}"
        good = found >= was - drop
        yield "" if good else f"{place}: {fell}, a drop of at most {drop:g} is expected"


def _compared(new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        "dataset": (new["dataset"], old["dataset"]),
        "classes": (new["classes"], old["classes"]),
        "protocol": (new["protocol"]["name"], old["protocol"]["name"]),
    }
