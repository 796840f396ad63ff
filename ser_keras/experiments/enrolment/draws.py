"""Draws the recordings of test speakers that are known when the others are scored."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ser_keras.data.seeds import mixed_seed

# At least half of a speaker's recordings are left to be scored.
LARGEST_SHARE = 0.5


def draw_known(
    rows: Sequence[Any],
    seconds: float,
    seed: int,
    wanted: Callable[[Any], bool] = lambda row: True,
) -> tuple[str, ...]:
    """Returns the keys of recordings that are known of every speaker, in random order.

    Of each speaker recordings are drawn until they last `seconds`, at most half of all that the
    speaker has. A speaker without a wanted recording has none.

    Args:
        rows: objects with `key`, `corpus`, `speaker` and `duration_s`.
        seconds: float. Least duration of a speaker's drawn recordings together.
        seed: int.
        wanted: function of a row: whether it may be drawn.

    Example:
        >>> from types import SimpleNamespace
        >>> rows = [
        ...     SimpleNamespace(key=f"k{n}", corpus="c", speaker="a", duration_s=2.0)
        ...     for n in range(6)
        ... ]
        >>> len(draw_known(rows, 3.0, seed=0)), len(draw_known(rows, 60.0, seed=0))
        (2, 3)
    """
    by_speaker: dict[str, list[Any]] = {}
    for row in sorted(rows, key=lambda row: row.key):
        by_speaker.setdefault(f"{row.corpus}/{row.speaker}", []).append(row)
    known: list[str] = []
    for speaker, own in by_speaker.items():
        rng = np.random.default_rng(mixed_seed(seed, "known", speaker))
        candidates = [row for row in own if wanted(row)]
        largest, drawn_s = int(LARGEST_SHARE * len(own)), 0.0
        for number in rng.permutation(len(candidates))[:largest]:
            if drawn_s >= seconds:
                break
            known.append(candidates[number].key)
            drawn_s += candidates[number].duration_s
    return tuple(known)
