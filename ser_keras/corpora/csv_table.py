"""Strict reading of a table of recordings: every refusal names file, row and cure."""

import csv
import difflib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from ser_keras.errors import CorpusError

MAX_BYTES = 512 * 2**20


def read_rows(
    table: Path,
    *,
    required: Sequence[str],
    optional: Sequence[str],
    max_rows: int,
    tab_separated: bool = False,
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yields `("file:row", values by column)`, white space around values removed.

    Args:
        table: the file; UTF-8, with or without a byte order mark, comma-separated, with a header.
        required: columns that must be there, and filled in every row.
        optional: columns that may be there; `""` where not. Further columns are ignored.
        max_rows: most rows below the header.
        tab_separated: fields end at tabs instead of commas, and quotes are letters like others.

    Raises:
        CorpusError: too large, not UTF-8, not CSV, a column missing or doubled, a row with too many
            or too few fields, an empty required field.
    """
    lines = io.StringIO(_text(table), newline="")
    if tab_separated:
        reader = csv.reader(lines, strict=True, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(lines, strict=True)
    try:
        columns = [name.strip() for name in next(reader, [])]
        _check_header(columns, table, required, optional)
        number = 0
        for fields in reader:
            if not fields:
                continue
            number += 1
            where = f"{table}:{reader.line_num}"
            if number > max_rows:
                raise CorpusError(f"{where}: found more than {max_rows} rows. Split the table.")
            _check_length(fields, columns, where, "tab" if tab_separated else "comma")
            yield where, _values(fields, columns, where, required, optional)
    except csv.Error as error:
        raise CorpusError(
            f"{table}:{reader.line_num}: found a row that is not CSV ({error}). Correct its quotes."
        ) from None


def _text(table: Path) -> str:
    size = table.stat().st_size
    if size > MAX_BYTES:
        raise CorpusError(
            f"{table}: found {size} bytes, expected at most {MAX_BYTES}. Split the table."
        )
    data = table.read_bytes().removeprefix(b"\xef\xbb\xbf")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise CorpusError(
            f"{table}:{row}: found the byte {data[error.start]:#04x}, which is not UTF-8. Save the "
            "table as UTF-8."
        ) from None


def _check_header(
    columns: list[str], table: Path, required: Sequence[str], optional: Sequence[str]
) -> None:
    for name in required:
        if name not in columns:
            near = difflib.get_close_matches(name, columns, n=1, cutoff=0.5)
            hint = f"Did you mean it by {near[0]!r}? Rename that." if near else "Add it."
            raise CorpusError(
                f"{table}:1: found no column {name!r} among {', '.join(columns) or 'none'}. {hint} "
                f"Expected {','.join(required)} and, where known, {','.join(optional)}."
            )
    for name in (*required, *optional):
        if columns.count(name) > 1:
            raise CorpusError(f"{table}:1: found the column {name!r} twice. Remove one of them.")


def _check_length(fields: list[str], columns: list[str], where: str, separator: str) -> None:
    if len(fields) != len(columns):
        quotes = "Quote fields that hold commas, and write" if separator == "comma" else "Write"
        raise CorpusError(
            f"{where}: found {len(fields)} fields, expected {len(columns)} as in the header. "
            f"{quotes} a {separator} for each empty field."
        )


def _values(
    fields: list[str],
    columns: list[str],
    where: str,
    required: Sequence[str],
    optional: Sequence[str],
) -> dict[str, str]:
    row = dict(zip(columns, fields, strict=True))
    values = {name: row.get(name, "").strip() for name in (*required, *optional)}
    for name in required:
        if not values[name]:
            raise CorpusError(f"{where}: found an empty {name}. Fill it in, or remove the row.")
    return values
