"""What a verb shows while a training runs."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ser_keras.cli.console import console


class EpochBars:
    """A progress bar per fold: epochs done, loss, and validation UA where there is one.

    Above them another moves, since an epoch may take minutes and a fold is shown after its first.
    Where the output is no terminal, such as a log file, lines take the place of the bars: one for
    each fold's first and last epoch, and one every `LOG_EVERY_S` seconds, also while an epoch runs.
    """

    LOG_EVERY_S = 30.0

    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self.bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[logs]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._moving = self.bars.add_task("training", total=None, logs="")
        self.tasks: dict[str, Any] = {}
        self._paces: dict[str, Pace] = {}
        self._now = ""
        self._logged_s = self._ended_s = time.monotonic()
        self._over = threading.Event()

    def __enter__(self) -> "EpochBars":
        self.bars.start()
        if not console.is_terminal:
            threading.Thread(target=self._log_running_epochs, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._over.set()
        self.bars.remove_task(self._moving)
        if kind is None:
            for task in self.bars.tasks:
                # Fewer epochs than asked for: no better one was to be expected.
                self.bars.update(task.id, total=task.completed)
        self.bars.stop()

    def __call__(self, fold: str, epoch: int, epochs: int, logs: Mapping[str, float]) -> None:
        """Shows that `epoch` of `epochs` of a fold has ended with these logs."""
        # Whoever trains has loaded it; listing the verbs must not load NumPy.
        from ser_keras.training.history import RESUMED

        if fold not in self.tasks:
            self.tasks[fold] = self.bars.add_task(f"fold {fold}", total=epochs, logs="")
            self._paces[fold] = Pace(self._ended_s)
        self._ended_s = time.monotonic()
        text = f"loss {logs['loss']:.3f}"
        if "valid_ua" in logs:
            text += f"  valid UA {100 * logs['valid_ua']:.1f}"
        self.bars.update(self.tasks[fold], completed=epoch, logs=text)
        self._now = f"fold {fold}: epoch {min(epoch + 1, epochs)} of {epochs}"
        if RESUMED in logs:
            self._paces[fold] = Pace(self._ended_s, epoch)
            goes_on = f"going on at epoch {epoch + 1} of {epochs}"
            all_done = f"all {epochs} epochs were trained before; testing"
            self.note(f"fold {fold}: {goes_on if epoch < epochs else all_done}")
        elif not console.is_terminal:
            self._log(fold, epoch, epochs, text)

    def note(self, sentence: str) -> None:
        """Shows a sentence above the bars."""
        self._logged_s = time.monotonic()
        console.print(sentence)

    def _log(self, fold: str, epoch: int, epochs: int, text: str) -> None:
        now_s = time.monotonic()
        if epoch in (1, epochs) or now_s - self._logged_s >= self.LOG_EVERY_S:
            left = self._paces[fold].left_s(epoch, epochs, now_s)
            text += f", {duration(left)} left" if epoch < epochs else ""
            self.note(f"fold {fold}: epoch {epoch} of {epochs}, {text}")

    def _log_running_epochs(self) -> None:
        """Writes a line where an epoch, or what comes before the first, takes long."""
        while not self._over.wait(self.LOG_EVERY_S / 10):
            now_s = time.monotonic()
            if now_s - self._logged_s >= self.LOG_EVERY_S:
                what = self._now or "reading features and building the model"
                self.note(f"{what}: at it for {duration(now_s - self._ended_s)}")


@dataclass(frozen=True)
class Pace:
    """How fast the items of a task, such as the epochs of a fold, get done.

    Args:
        began_s: float. When the first of them began, on a monotonic clock.
        before: int. Items that were done by then, such as epochs of an earlier run.
    """

    began_s: float
    before: int = 0

    def left_s(self, done: int, total: int, now_s: float) -> float:
        """Returns the seconds that the items after `done` will take if all take as long."""
        return (now_s - self.began_s) / (done - self.before) * (total - done)


def duration(seconds: float) -> str:
    """Returns a time in the two units in which it is said.

    Example:
        >>> duration(42.4), duration(754), duration(11_000)
        ('42 s', '13 min', '3 h 3 min')
    """
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


class FoldBar:
    """A progress bar per track of `ser baseline`: folds done.

    Where the output is no terminal, a line for each fold takes its place.

    Args:
        noun: str. What a bar is of.
    """

    def __init__(self, noun: str = "track") -> None:
        from rich.progress import Progress

        self.noun = noun

        self.bars = Progress(console=console)
        self.tasks: dict[str, Any] = {}

    def __enter__(self) -> "FoldBar":
        self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()

    def __call__(self, track: str, done: int, total: int) -> None:
        """Shows that `done` of `total` folds of a track are done."""
        if track not in self.tasks:
            self.tasks[track] = self.bars.add_task(f"{self.noun} {track}", total=total)
        self.bars.update(self.tasks[track], completed=done)
        if not console.is_terminal:
            console.print(f"{self.noun} {track}: fold {done} of {total}")
