"""What a process takes of memory, and what a piece of code takes for each further item."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any


def peak_bytes(process: int | str = "self") -> int:
    """Returns the most resident memory that a process has had since it runs its program.

    What `getrusage` calls the peak begins with the memory of whoever started the process.
    """
    status = Path(f"/proc/{process}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])


def growth(run: Callable[[int], Any], few: int, many: int) -> tuple[float, float]:
    """Returns the bytes per item from `run(few)` to `run(many)`: (at the peak, what is returned).

    As Python counts them.
    """
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
