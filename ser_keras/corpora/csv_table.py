"""Reads a table of recordings: separators are found out, every refusal names file, row and cure."""

import csv
import difflib
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ser_keras.corpora.table_text import table_text
from ser_keras.errors import CorpusError

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_PLURALS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
# Excel's first line, which says how the others are separated.
_EXCEL_LINE = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)
# csv.QUOTE_MINIMAL and csv.QUOTE_NONE.
_Quoting = Literal[0, 3]
_MAX_HEADER = 2**16
# Invisible characters that strip() leaves.
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060"


@dataclass(frozen=True)
class Table:
    """A table with a header, whose separators are known.

    Args:
        path: Path. The file.
        columns: tuple of str. Names in the header, without white space around them.
        separator: str. The character between two fields.
    """

    path: Path
    columns: tuple[str, ...]
    separator: str
    _text: str = field(repr=False)
    _quoting: _Quoting = field(repr=False)
    _lines_before: int = field(repr=False)

    def rows(self) -> Iterator[tuple[str, list[str]]]:
        """Yields `("file:row", fields)` below the header, white space around fields removed.

        Rows without any content are passed over, and empty fields beyond the header are cut off.

        Raises:
            CorpusError: a row is not CSV.
        """
        reader = _reader(self._text, self.separator, self._quoting)
        width = len(self.columns)
        try:
            next(reader, None)
            for fields in reader:
                values = [_clean(value) for value in fields]
                while len(values) > width and not values[-1]:
                    values.pop()
                if any(values):
                    yield f"{self.path}:{reader.line_num + self._lines_before}", values
        except csv.Error as error:
            raise CorpusError(
                f"{self.path}:{reader.line_num + self._lines_before}: found a row that is not CSV "
                f"({error}). Correct its quotes."
            ) from None

    def wrong_length(self, fields: Sequence[str]) -> str:
        """Returns what is wrong with the number of a row's fields; nothing where it is right."""
        if len(fields) == len(self.columns):
            return ""
        name = _SEPARATORS.get(self.separator, repr(self.separator))
        plural = _PLURALS.get(self.separator, repr(self.separator))
        advice = f"Write a {name} for each empty field."
        if self._quoting != csv.QUOTE_NONE:
            advice = f"Quote fields that hold {plural}, and write a {name} for each empty field."
        return (
            f"found {len(fields)} fields, expected {len(self.columns)} as in the header. {advice}"
        )


def open_table(path: Path, wanted: Sequence[str] = ()) -> Table:
    """Finds out how a table is separated, and reads its header.

    Fields end at commas, semicolons, tabs or bars: at those that give the columns that are wanted,
    or else the most columns. In a table with tabs, quotes are letters where they cannot be quotes.

    Args:
        path: the file.
        wanted: names of columns; a header that has them in other letter case is read as they are.

    Raises:
        CorpusError: too large, no text, an unknown encoding, or a header that is not CSV.
    """
    text = table_text(path)
    first = _EXCEL_LINE.match(text)
    text = text[first.end() :] if first else text
    headers = {
        separator: _header(text, separator, wanted)
        for separator in ([first[1]] if first else _SEPARATORS)
    }
    separator = max(
        headers,
        key=lambda s: (len(set(wanted).intersection(headers[s])), len(headers[s])),
    )
    quoting = _quoting(text, separator, len(headers[separator]))
    return Table(path, headers[separator], separator, text, quoting, 1 if first else 0)


def read_rows(
    path: Path,
    *,
    required: Sequence[str],
    optional: Sequence[str],
    max_rows: int,
    remedy: str = "Add it.",
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yields `("file:row", values by column)`, white space around values removed.

    Args:
        path: the table.
        required: columns that must be there, and filled in every row.
        optional: columns that may be there; `""` where not. Further columns are ignored.
        max_rows: most rows below the header.
        remedy: what to do where a column is missing.

    Raises:
        CorpusError: too large, not text, not CSV, a column missing or doubled, a row with too many
            or too few fields, an empty required field.
    """
    table = open_table(path, (*required, *optional))
    _check_header(table, required, optional, remedy)
    for number, (where, fields) in enumerate(table.rows(), start=1):
        if number > max_rows:
            raise CorpusError(f"{where}: found more than {max_rows} rows. Split the table.")
        if wrong := table.wrong_length(fields):
            raise CorpusError(f"{where}: {wrong}")
        yield where, _values(fields, table.columns, where, required, optional)


def _reader(text: str, separator: str, quoting: _Quoting) -> Any:
    """Returns an iterator over lists of fields that knows its `line_num`."""
    lines = io.StringIO(text, newline="")
    return csv.reader(lines, strict=True, delimiter=separator, quoting=quoting)


def _header(text: str, separator: str, wanted: Sequence[str]) -> tuple[str, ...]:
    try:
        first = text[:_MAX_HEADER]
        names = [_clean(name) for name in next(_reader(first, separator, csv.QUOTE_MINIMAL), [])]
    except csv.Error:
        # With the right separator the header can be read; rows() says what is wrong with others.
        names = [_clean(name) for name in text.partition("\n")[0].split(separator)]
    known = {name.casefold(): name for name in wanted if name not in names}
    twice = {name for name in names if [n.casefold() for n in names].count(name.casefold()) > 1}
    return tuple(name if name in twice else known.get(name.casefold(), name) for name in names)


def _quoting(text: str, separator: str, width: int) -> _Quoting:
    """Returns whether quotes enclose fields; in a table with tabs they may be letters like others.

    They are, where more of the rows have the header's width that way.
    """
    if separator != "\t" or '"' not in text:
        return csv.QUOTE_MINIMAL
    literal = _fitting_share(_reader(text, separator, csv.QUOTE_NONE), width)
    enclosing = _fitting_share(_reader(text, separator, csv.QUOTE_MINIMAL), width)
    return csv.QUOTE_NONE if literal > enclosing else csv.QUOTE_MINIMAL


def _fitting_share(rows: Iterator[list[str]], width: int) -> float:
    """Returns the share of rows that are as wide as the header, 0 where one is not CSV."""
    try:
        fitting = [len(fields) == width for fields in rows if fields]
    except csv.Error:
        return 0.0
    return sum(fitting) / max(1, len(fitting))


def _clean(value: str) -> str:
    stripped = value.strip().strip(_INVISIBLE).strip()
    return stripped if stripped.isascii() else unicodedata.normalize("NFC", stripped)


def _check_header(
    table: Table, required: Sequence[str], optional: Sequence[str], remedy: str
) -> None:
    columns = list(table.columns)
    for name in required:
        if name not in columns:
            near = difflib.get_close_matches(name, columns, n=1, cutoff=0.5)
            hint = f"Did you mean {near[0]!r}? Rename that column." if near else remedy
            if len(columns) == 1 and set(required) <= set(re.split(r"[\s:]+", columns[0])):
                hint = "Separate the columns by commas."
            names = ", ".join(filter(None, columns)) or "none"
            raise CorpusError(
                f"{table.path}:1: found no column {name!r} among {names}. {hint} "
                f"Expected {','.join(required)} and, where known, {','.join(optional)}."
            )
    for name in (*required, *optional):
        if columns.count(name) > 1:
            raise CorpusError(
                f"{table.path}:1: found the column {name!r} twice. Remove one of them."
            )


def _values(
    fields: Sequence[str],
    columns: Sequence[str],
    where: str,
    required: Sequence[str],
    optional: Sequence[str],
) -> dict[str, str]:
    row = dict(zip(columns, fields, strict=True))
    values = {name: row.get(name, "") for name in (*required, *optional)}
    for name in required:
        if not values[name]:
            raise CorpusError(f"{where}: found an empty {name}. Fill it in, or remove the row.")
    return values
