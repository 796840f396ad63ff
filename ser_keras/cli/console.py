"""The console that all verbs print to."""

import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from textwrap import fill
from typing import Any

from rich.console import Console

console = Console(soft_wrap=True, highlight=False)


def starting() -> AbstractContextManager[Any]:
    """Returns what shows that a verb is at work while it imports; TensorFlow takes seconds."""
    return console.status("starting")


def print_findings(findings: Sequence[Any], nothing: str = "audit: no findings") -> None:
    """Prints one line per finding, worst first; `nothing` where there is none."""
    colours = {"fail": "bold red", "warn": "yellow", "info": "dim"}
    for finding in sorted(findings, key=lambda f: ("fail", "warn", "info").index(f.severity)):
        console.print(
            f"[{colours[finding.severity]}]{finding.severity}[/] {finding.check}: ", end=""
        )
        console.print(finding.message, markup=False)
    if not findings and nothing:
        console.print(nothing)


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """Prints a table that is as wide as the terminal at most; long cells go on in the next line.

    Args:
        head: names of the columns. Those without any cell are left out.
        rows: their cells, plain text.
        title: str. A line above it.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    rows = [list(row) for row in rows]
    filled = [n for n in range(len(head)) if any(row[n : n + 1] != [""] for row in rows)]
    head, rows = (
        [head[n] for n in filled],
        [[row[n] for n in filled if n < len(row)] for row in rows],
    )
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for number, name in enumerate(head):
        cells = [row[number] for row in rows if number < len(row)]
        numeric = all(not cell or cell[0] in "+-–0123456789" for cell in cells)
        # A number that is broken in two cannot be read.
        width = max((len(line) for cell in cells for line in cell.splitlines()), default=0)
        if short := width <= SHORT_CELL:
            name = fill(name, max(width, *map(len, name.split())))
        table.add_column(
            name, justify="right" if numeric else "left", no_wrap=short, overflow="fold"
        )
    for row in rows:
        table.add_row(*map(Text, row))
    if title:
        console.print(title, markup=False, style="bold", soft_wrap=False)
    console.print(table, soft_wrap=False)


# What is no longer than "+10.5 (-10.2 – +11.0)" stays on one line.
SHORT_CELL = 21


def print_markdown(text: str) -> None:
    """Prints text whose Markdown tables are fitted to the terminal."""
    lines = text.splitlines()
    for is_table, block in groupby(lines, key=lambda line: line.startswith("|")):
        if not is_table:
            console.print("\n".join(block), markup=False)
            continue
        head, _, *rows = [
            [cell.strip() for cell in re.sub(r"`|\*\*", "", line).strip().strip("|").split("|")]
            for line in block
        ]
        print_table(head, rows)
