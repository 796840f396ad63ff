"""The states that a node passes through in a run, its result, and the observer of a run."""

from dataclasses import dataclass
from typing import Protocol

from pipeline.lineage.records import Execution
from ser_keras.errors import SerError

WAITING, LOOKING, RUNNING = "waiting", "looking", "running"
CACHED, DONE, REFUSED, FAILED, SKIPPED = "cached", "done", "refused", "failed", "skipped"


@dataclass(frozen=True)
class NodeResult:
    """How a node ended.

    Args:
        node: str.
        state: str. CACHED, DONE, REFUSED, FAILED or SKIPPED.
        execution: the record of its artifacts, None if there are none.
        error: why it failed, None if it did not.
    """

    node: str
    state: str
    execution: Execution | None = None
    error: SerError | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the nodes that need this one may run."""
        return self.state in (CACHED, DONE)


class RunObserver(Protocol):
    """Receives the events of a run."""

    def state(self, node: str, state: str, text: str = "") -> None:
        """Called when a node changes its state; `text` explains it."""

    def progress(self, node: str, what: str, done: int, total: int) -> None:
        """Called with the progress of a running node; total 0 is unknown."""


class SilentObserver:
    """An observer that ignores all events."""

    def state(self, node: str, state: str, text: str = "") -> None:
        """Does nothing."""

    def progress(self, node: str, what: str, done: int, total: int) -> None:
        """Does nothing."""
