"""What a person sees of a running pipeline: a live table, or lines where there is no terminal."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.orchestration.definition import Node
from pipeline.orchestration.runner import (
    CACHED,
    DONE,
    FAILED,
    LOOKING,
    REFUSED,
    RUNNING,
    SKIPPED,
    WAITING,
)

# Words say it; colours only help.
_STYLES = {
    WAITING: "dim",
    LOOKING: "dim",
    RUNNING: "bold cyan",
    CACHED: "green",
    DONE: "bold green",
    REFUSED: "bold yellow",
    FAILED: "bold red",
    SKIPPED: "dim",
}
_LINE_EVERY_S = 10.0


@dataclass
class _Row:
    """A node as it stands."""

    component: str
    state: str = WAITING
    text: str = ""
    began_s: float = 0.0
    took_s: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it has run, or ran."""
        running = self.state == RUNNING
        return time.monotonic() - self.began_s if running else self.took_s


class RunView:
    """A context manager that shows a run, see `pipeline.orchestration.runner.View`.

    Args:
        nodes: the pipeline's, in order.
        console: where to.
    """

    def __init__(self, nodes: Sequence[Node], console: Console):
        self.console = console
        self.rows = {node.name: _Row(node.component.spec.name) for node in nodes}
        self.live = Live(get_renderable=self._table, console=console, refresh_per_second=4)
        self._said_s = 0.0

    def __enter__(self) -> "RunView":
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.console.is_terminal:
            self.live.stop()

    def state(self, node: str, state: str, text: str = "") -> None:
        """Shows that a node has come into a state."""
        row = self.rows[node]
        if state == RUNNING:
            row.began_s = time.monotonic()
        elif row.state == RUNNING:
            row.took_s = time.monotonic() - row.began_s
        row.state, row.text = state, text
        if state != LOOKING:
            took = f" ({row.took_s:.1f} s)" if row.took_s else ""
            self._say(f"{node}: {state}{took}{': ' if text else ''}{text}")

    def progress(self, node: str, what: str, done: int, total: int) -> None:
        """Shows how far a node is."""
        row = self.rows[node]
        row.text = f"{what} {done}/{total}" if total else what
        if time.monotonic() - self._said_s > _LINE_EVERY_S:
            self._say(f"{node}: {row.text}")

    def _say(self, line: str) -> None:
        if not self.console.is_terminal:
            self._said_s = time.monotonic()
            self.console.print(line, markup=False)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for title in ("node", "component", "state", "s", ""):
            table.add_column(title, justify="right" if title == "s" else "left")
        for name, row in self.rows.items():
            seconds: Any = f"{row.seconds:.1f}" if row.seconds else ""
            state = Text(row.state, _STYLES[row.state])
            table.add_row(name, row.component, state, seconds, Text(row.text, overflow="ellipsis"))
        return table
