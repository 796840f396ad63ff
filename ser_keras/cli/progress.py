"""What a verb shows while a training runs."""

import time
from collections.abc import Mapping
from typing import Any

from ser_keras.cli.console import console


class EpochBars:
    """A progress bar per fold: epochs done, loss, and validation UA where there is one.

    Above them another moves, since an epoch may take minutes and a fold is shown after its first.
    Where the output is no terminal, such as a log file, lines take the place of the bars: one for
    each fold's first and last epoch, and one every `LOG_EVERY_S` seconds.
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
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[logs]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._moving = self.bars.add_task("training", total=None, logs="")
        self.tasks: dict[str, Any] = {}
        self._logged_s = 0.0

    def __enter__(self) -> "EpochBars":
        self.bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.bars.remove_task(self._moving)
        if kind is None:
            for task in self.bars.tasks:
                # Fewer epochs than asked for: no better one was to be expected.
                self.bars.update(task.id, total=task.completed)
        self.bars.stop()

    def __call__(self, fold: str, epoch: int, epochs: int, logs: Mapping[str, float]) -> None:
        """Shows that `epoch` of `epochs` of a fold has ended with these logs."""
        if fold not in self.tasks:
            self.tasks[fold] = self.bars.add_task(f"fold {fold}", total=epochs, logs="")
        text = f"loss {logs['loss']:.3f}"
        if "valid_ua" in logs:
            text += f"  valid UA {100 * logs['valid_ua']:.1f}"
        self.bars.update(self.tasks[fold], completed=epoch, logs=text)
        if not console.is_terminal:
            self._log(fold, epoch, epochs, text)

    def _log(self, fold: str, epoch: int, epochs: int, text: str) -> None:
        now_s = time.monotonic()
        if epoch in (1, epochs) or now_s - self._logged_s >= self.LOG_EVERY_S:
            self._logged_s = now_s
            console.print(f"fold {fold}: epoch {epoch} of {epochs}, {text}", markup=False)


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
            console.print(f"{self.noun} {track}: fold {done} of {total}", markup=False)
