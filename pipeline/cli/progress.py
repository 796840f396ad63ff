"""The progress bar of the Beam jobs."""

import time

from ser_keras.cli.console import console
from ser_keras.cli.progress import Pace, duration


class JobProgress:
    """A progress bar for the steps of a job, used as a context manager and as the job's callback.

    Where the output is no terminal, such as a log file, a line takes its place every `LOG_EVERY_S`
    seconds. `computed_s` is the time since the step "features" began, 0 if features were not
    computed.
    """

    LOG_EVERY_S = 10.0

    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self.bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self.task = self.bars.add_task("starting", total=None)
        self.computed_s = 0.0
        self._features_started_s = 0.0
        self._step = ""
        self._pace = Pace(time.monotonic())
        self._logged_s = time.monotonic()

    def __enter__(self) -> "JobProgress":
        self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()

    def __call__(self, step: str, done: int, total: int) -> None:
        """Shows that `done` of `total` items have passed a step; total 0 is unknown."""
        if step == "features":
            self._features_started_s = self._features_started_s or time.perf_counter()
            self.computed_s = time.perf_counter() - self._features_started_s
        # `update` takes None for "unchanged", so an unknown total is set directly.
        self.bars.tasks[0].total = total or None
        self.bars.update(self.task, description=step, completed=done)
        if not console.is_terminal:
            self._log(step, done, total)

    def _log(self, step: str, done: int, total: int) -> None:
        """Writes a line about a step that takes long."""
        now_s = time.monotonic()
        if step != self._step:
            self._step, self._pace = step, Pace(now_s, done)
        if now_s - self._logged_s < self.LOG_EVERY_S:
            return
        self._logged_s = now_s
        text = f"{step}: {done} of {total}" if total else f"{step}: {done}"
        if self._pace.before < done < total:
            text += f", {duration(self._pace.left_s(done, total, now_s))} left"
        console.print(text)
