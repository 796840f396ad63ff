"""Displays a running pipeline: a live table in a terminal, otherwise lines."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.orchestration.definition import Node
from pipeline.orchestration.node_result import (
    CACHED,
    DONE,
    FAILED,
    LOOKING,
    REFUSED,
    RUNNING,
    SKIPPED,
    WAITING,
)

# The words carry the meaning; the colours only support it.
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
    """A node's row of the table."""

    component: str
    state: str = WAITING
    text: str = ""
    started_s: float = 0.0
    duration_s: float = 0.0

    @property
    def seconds(self) -> float:
        """How long the node has run so far, or ran."""
        running = self.state == RUNNING
        return time.monotonic() - self.started_s if running else self.duration_s


class RunView:
    """A context manager that displays a run, see `pipeline.orchestration.node_result.RunObserver`.

    Args:
        nodes: those of the pipeline, in order.
        console: where the display goes.
    """

    def __init__(self, nodes: Sequence[Node], console: Console):
        self.console = console
        self.rows = {node.name: _Row(node.component.spec.name) for node in nodes}
        self.live = Live(get_renderable=self._table, console=console, refresh_per_second=4)
        self._last_line_s = 0.0

    def __enter__(self) -> "RunView":
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.console.is_terminal:
            self.live.stop()

    def state(self, node: str, state: str, text: str = "") -> None:
        """Shows a node's new state."""
        row = self.rows[node]
        if state == RUNNING:
            row.started_s = time.monotonic()
        elif row.state == RUNNING:
            row.duration_s = time.monotonic() - row.started_s
        row.state, row.text = state, text
        if state != LOOKING:
            duration = f" ({row.duration_s:.1f} s)" if row.duration_s else ""
            self._print_line(f"{node}: {state}{duration}{': ' if text else ''}{text}")

    def progress(self, node: str, what: str, done: int, total: int) -> None:
        """Shows the progress of a node."""
        row = self.rows[node]
        row.text = f"{what} {done}/{total}" if total else what
        if time.monotonic() - self._last_line_s > _LINE_EVERY_S:
            self._print_line(f"{node}: {row.text}")

    def _print_line(self, line: str) -> None:
        if not self.console.is_terminal:
            self._last_line_s = time.monotonic()
            self.console.print(line)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for title in ("node", "component", "state", "s", ""):
            table.add_column(title, justify="right" if title == "s" else "left")
        for name, row in self.rows.items():
            seconds: Any = f"{row.seconds:.1f}" if row.seconds else ""
            state = Text(row.state, _STYLES[row.state])
            table.add_row(name, row.component, state, seconds, Text(row.text, overflow="ellipsis"))
        return table
