"""The consoles that all verbs print to: one for answers, one for errors."""

import json
import logging
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from textwrap import fill
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

# Control and format characters, halves of surrogate pairs, separators of lines and paragraphs.
UNPRINTABLE = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))


def printable(text: str, keep: str = "\n\t") -> str:
    r"""Returns text whose characters all print as themselves; others are written as escapes.

    A terminal obeys control characters, and characters of format reverse or hide what follows.
    Names of classes and files come from strangers, and so do the messages of a server. The escapes
    are those of JSON, so that JSON stays what it is.

    Args:
        text: the text.
        keep: characters that stay although they do not print; "" for a name, which has one line.

    Example:
        >>> printable("\x1b[31mred\nblue"), printable("a\nb", keep="")
        ('\\u001b[31mred\nblue', 'a\\nb')
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char
        if char in keep or unicodedata.category(char) not in UNPRINTABLE
        else json.dumps(char)[1:-1]
        for char in text
    )


class PrintableConsole(Console):
    """A console on which nothing but printable text and rich's own styles appears.

    Every text, table, bar and status goes through `render`. Square brackets and colons are text
    as well, unless a call says `markup=True`.
    """

    def __init__(self, **options: Any):
        super().__init__(soft_wrap=True, highlight=False, markup=False, emoji=False, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yields the pieces of what is printed, with the unprintable characters as escapes."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text), style, control)


console = PrintableConsole()
error_console = PrintableConsole(stderr=True)


class ConsoleHandler(logging.Handler):
    """Prints what is logged to the console of errors."""

    def emit(self, record: logging.LogRecord) -> None:
        """Prints a record."""
        error_console.print(self.format(record))


def starting() -> AbstractContextManager[Any]:
    """Returns what shows that a verb is at work while it imports; TensorFlow takes seconds."""
    return console.status("starting")


def print_findings(findings: Sequence[Any], nothing: str = "audit: no findings") -> None:
    """Prints one line per finding, worst first; `nothing` where there is none."""
    colours = {"fail": "bold red", "warn": "yellow", "info": "dim"}
    for finding in sorted(findings, key=lambda f: ("fail", "warn", "info").index(f.severity)):
        console.print(finding.severity, style=colours[finding.severity], end="")
        console.print(f" {finding.check}: {finding.message}")
    if not findings and nothing:
        console.print(nothing)


# What is no longer than "+10.5 (-10.2 – +11.0)" stays on one line where there is room.
SHORT_CELL = 21
# Blanks and a line between two columns.
GAP = 3


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """Prints a table that is as wide as the terminal at most; long cells go on in the next line.

    Where not even single words fit side by side, every row is a list of names and cells.

    Args:
        head: names of the columns. Those without any cell are left out.
        rows: their cells, plain text.
        title: str. A line above it.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    if title:
        console.print(title, style="bold", soft_wrap=False)
    rows = [[*row, *[""] * (len(head) - len(row))] for row in rows]
    columns = [(name, cells) for name, *cells in zip(head, *rows, strict=True) if any(cells)]
    widths = _widths(columns)
    if sum(widths.values()) + GAP * (len(widths) - 1) > console.width:
        for row in zip(*(cells for _, cells in columns), strict=True):
            for (name, _), cell in zip(columns, row, strict=True):
                console.print(f"{name}: {' '.join(cell.split())}", soft_wrap=False)
            console.print()
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for number, (name, cells) in enumerate(columns):
        whole = _longest(cells, str.splitlines) <= widths[number]
        numeric = all(not cell or cell[0] in "+-–0123456789" for cell in cells)
        table.add_column(
            fill(name, widths[number]) if whole else name,
            justify="right" if numeric else "left",
            no_wrap=whole,
            min_width=widths[number],
        )
    for row in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*map(Text, row))
    console.print(table, soft_wrap=False)


def _widths(columns: Sequence[tuple[str, Sequence[str]]]) -> dict[int, int]:
    """Returns the least width of each column: of its lines where there is room, else of a word."""
    lines, words = {}, {}
    for number, (name, cells) in enumerate(columns):
        words[number] = _longest([name, *cells], str.split)
        lines[number] = max(words[number], _longest(cells, str.splitlines))
    short = {number for number, width in lines.items() if width <= SHORT_CELL}
    widths = {number: lines[number] if number in short else words[number] for number in lines}
    # The column that gains most from going on in the next line is the first to do so.
    for number in sorted(short, key=lambda number: words[number] - lines[number]):
        if sum(widths.values()) + GAP * (len(widths) - 1) <= console.width:
            break
        widths[number] = words[number]
    return widths


def _longest(texts: Iterable[str], split: Callable[[str], list[str]]) -> int:
    return max((len(piece) for text in texts for piece in split(text)), default=0)


def print_markdown(text: str) -> None:
    """Prints text whose Markdown tables are fitted to the terminal."""
    lines = text.splitlines()
    for is_table, block in groupby(lines, key=lambda line: line.startswith("|")):
        if not is_table:
            console.print("\n".join(block))
            continue
        head, _, *rows = [
            [cell.strip() for cell in re.sub(r"`|\*\*", "", line).strip().strip("|").split("|")]
            for line in block
        ]
        print_table(head, rows)
