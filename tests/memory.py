"""What a piece of code takes of memory for each further item, in bytes, as Python counts it."""

import tracemalloc
from collections.abc import Callable
from typing import Any


def peak_bytes(run: Callable[[], Any]) -> tuple[int, int]:
    """Returns (peak while `run` runs, what its result holds)."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        result = run()
        held, peak = tracemalloc.get_traced_memory()
        del result
        return peak - before, held - before
    finally:
        tracemalloc.stop()


def growth(run: Callable[[int], Any], few: int, many: int) -> tuple[float, float]:
    """Returns how much (peak, held) grow per item from `run(few)` to `run(many)`."""
    # What is made once, on the first call, counts for neither.
    run(few)
    small, large = peak_bytes(lambda: run(few)), peak_bytes(lambda: run(many))
    peak, held = ((each - first) / (many - few) for first, each in zip(small, large, strict=True))
    return peak, held
