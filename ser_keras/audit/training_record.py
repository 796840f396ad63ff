"""Whether the test part influenced training: through the normaliser, the epoch or the parts."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from ser_keras.audit.findings import Finding, few
from ser_keras.errors import ConfigError
from ser_keras.protocols import PARTS

_CHOSEN_BY = ("validation", "fixed")


def audit_training(record: Mapping[str, Any]) -> list[Finding]:
    """Returns how the test part influenced training.

    Args:
        record: `train`, `valid`, `test` and `normaliser_fitted_on`: collections of keys;
            `epoch_chosen_by`: `"validation"` or `"fixed"` where all is well.

    Raises:
        ConfigError: the record lacks one of these.
    """
    needed = ("normaliser_fitted_on", "epoch_chosen_by", *PARTS)
    missing = [name for name in needed if name not in record]
    if missing:
        raise ConfigError(
            f"training record: found no {', '.join(missing)}, expected {', '.join(needed)}."
        )
    parts = {part: set(record[part]) for part in PARTS}
    return [
        *_normaliser(set(record["normaliser_fitted_on"]), parts),
        *_epoch(str(record["epoch_chosen_by"]), parts),
        *(
            Finding(
                "parts",
                "fail",
                f"{len(shared)} utterances are in both {first} and {second}: {few(shared)}.",
                shared,
            )
            for first, second in combinations(PARTS, 2)
            if (shared := tuple(sorted(parts[first] & parts[second])))
        ),
    ]


def _normaliser(fitted_on: set[str], parts: Mapping[str, set[str]]) -> Iterator[Finding]:
    outside = tuple(sorted(fitted_on - parts["train"]))
    if outside:
        named = [part for part in ("valid", "test") if parts[part] & fitted_on]
        yield Finding(
            "normaliser",
            "fail",
            f"its statistics saw {len(outside)} utterances outside the training part "
            f"({' and '.join(named) or 'of no part'}): {few(outside)}. Fit it on training only.",
            outside,
        )


def _epoch(chosen_by: str, parts: Mapping[str, set[str]]) -> Iterator[Finding]:
    if chosen_by not in _CHOSEN_BY:
        yield Finding(
            "epoch",
            "fail",
            f"the epoch was chosen by {chosen_by!r}; only {' or '.join(_CHOSEN_BY)} may choose it.",
        )
    elif chosen_by == "validation" and not parts["valid"]:
        yield Finding("epoch", "fail", "the epoch was chosen by a validation part that is empty.")
