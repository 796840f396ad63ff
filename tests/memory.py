"""What a piece of code takes of memory for each further item, in bytes, as Python counts it."""

import tracemalloc
from collections.abc import Callable
from typing import Any


def growth(run: Callable[[int], Any], few: int, many: int) -> tuple[float, float]:
    """Returns how much grows per item from `run(few)` to `run(many)`: (peak, what is returned)."""
    # What is made once, on the first call, counts for neither.
    run(few)
    (small_peak, small_held), (peak, held) = (_least_bytes(run, count) for count in (few, many))
    return (peak - small_peak) / (many - few), (held - small_held) / (many - few)


def _least_bytes(run: Callable[[int], Any], count: int) -> tuple[int, int]:
    # Of two calls, for the interpreter's table of names doubles at any time, but not twice.
    peaks, helds = zip(*(_bytes(run, count) for _ in range(2)), strict=True)
    return min(peaks), min(helds)


def _bytes(run: Callable[[int], Any], count: int) -> tuple[int, int]:
    tracemalloc.start()
    try:
        result = run(count)
        held, peak = tracemalloc.get_traced_memory()
        del result
        return peak, held
    finally:
        tracemalloc.stop()
