"""Makes the table of a manifest from the rows of somebody else's.

A row that cannot be used is left out with the reason, and costs no other row.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ser_keras.audio import read_audio
from ser_keras.corpora.csv_table import Table
from ser_keras.corpora.recording_index import RecordingIndex
from ser_keras.corpora.table_columns import REQUIRED, ROLES
from ser_keras.errors import AudioError, ConfigError, CorpusError, unknown_name
from ser_keras.labels import plain_word

MAX_ROWS = 1_000_000
# Words for the few values that a manifest has in these columns.
_WORDS = {
    "gender": {
        "female": "female f woman w girl weiblich frau femme femenino femminile kobieta",
        "male": "male m man boy mannlich mann homme masculino maschile mezczyzna",
    },
    "style": {
        "improvised": "improvised improvisation impro improv spontaneous",
        "scripted": "scripted script read",
        "acted": "acted",
    },
    "split": {
        "train": "train training tr",
        "valid": "valid validation val dev devel development",
        "test": "test testing eval evaluation",
    },
}


@dataclass
class ImportedRows:
    """What became of a table's rows.

    Args:
        rows: list of mappings. By column of a manifest, with `where` as well: the file and row that
            it comes from; `path` is the recording's.
        left_out: list of mappings `where`, `path`, `reason`.
        unknown_words: mapping of column to the words in it that a manifest has no word for.
    """

    rows: list[dict[str, str]] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)
    unknown_words: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def leave_out(self, row: Mapping[str, str], reason: str) -> None:
        """Notes that a row is left out."""
        written = row.get("written") or row.get("path", "")
        self.left_out.append({"where": row["where"], "path": written, "reason": reason})

    def reasons(self) -> str:
        """Returns the two commonest reasons to leave a row out, with an example."""
        counts = Counter(row["reason"] for row in self.left_out)
        first = {row["reason"]: row for row in reversed(self.left_out)}
        few = (
            f"{reason} in {count} of its rows (such as {first[reason]['path']!r} in "
            f"{first[reason]['where']})"
            for reason, count in counts.most_common(2)
        )
        return f"{'; '.join(few)}."


def import_rows(
    table: Table,
    columns: Mapping[str, str],
    patterns: Mapping[str, re.Pattern[str]],
    label_map: Mapping[str, str],
    index: RecordingIndex,
) -> ImportedRows:
    """Returns the rows of a table as rows of a manifest, and those that cannot be.

    Args:
        table: the table.
        columns: by column of a manifest the table's column.
        patterns: by column of a manifest an expression whose first group is found in the path.
        label_map: labels in lower case to what they become; nothing leaves their rows out.
        index: the recordings.

    Raises:
        ConfigError: a label in `label_map` that the table does not have.
        CorpusError: not CSV, too many rows, or no row at all.
    """
    imported = ImportedRows()
    read = list(_read(table, columns, patterns, imported))
    _check_labels(label_map, {row["label"] for row in read})
    index.fit([row["path"] for row in read])
    for row in read:
        label = label_map.get(row["label"], row["label"])
        if not label:
            imported.leave_out(row, f"label {row['label']} is left out")
            continue
        try:
            path = index.find(row["path"])
        except CorpusError as error:
            imported.leave_out(row, str(error))
            continue
        imported.rows.append({**row, "label": label, "written": row["path"], "path": str(path)})
    _leave_out_repeated(imported)
    return imported


def leave_out_unreadable(
    imported: ImportedRows, follow: Callable[[Sequence[dict[str, str]]], Iterable[dict[str, str]]]
) -> None:
    """Decodes every recording and leaves out the rows of those that cannot be used.

    Args:
        imported: is changed.
        follow: called with the rows, yields them again; shows how far it is.
    """
    usable = []
    for row in follow(imported.rows):
        try:
            read_audio(row["path"], name=row["written"])
            usable.append(row)
        except AudioError as error:
            imported.leave_out(row, str(error))
    imported.rows = usable


def manifest_rows(rows: Sequence[Mapping[str, str]], folder: Path) -> list[dict[str, str]]:
    """Returns rows with the columns of a manifest that have a value, to be written into a folder.

    Paths below the folder become relative to it, others absolute.
    """
    columns = [name for name in ROLES if name in REQUIRED or any(row.get(name) for row in rows)]
    folder = folder.resolve()
    written = []
    for row in rows:
        path = Path(row["path"]).absolute()
        real = path.parent.resolve() / path.name
        inside = real.is_relative_to(folder)
        text = real.relative_to(folder).as_posix() if inside else str(real)
        written.append({name: row.get(name, "") for name in columns} | {"path": text})
    return written


def _read(
    table: Table,
    columns: Mapping[str, str],
    patterns: Mapping[str, re.Pattern[str]],
    imported: ImportedRows,
) -> Iterable[dict[str, str]]:
    """Yields the rows that have all they need."""
    numbers = {role: table.columns.index(column) for role, column in columns.items()}
    number = 0
    for number, (where, fields) in enumerate(table.rows(), start=1):
        if number > MAX_ROWS:
            raise CorpusError(f"{where}: found more than {MAX_ROWS} rows. Split the table.")
        row = {"where": where, "path": ""}
        if wrong := table.wrong_length(fields):
            imported.leave_out(row, wrong)
            continue
        row |= {role: fields[index] for role, index in numbers.items()}
        missing = _fill(row, patterns)
        if missing:
            imported.leave_out(row, missing)
            continue
        _translate(row, imported)
        yield row
    if not number:
        raise CorpusError(f"{table.path}: found no rows below the header, expected one or more.")


def _fill(row: dict[str, str], patterns: Mapping[str, re.Pattern[str]]) -> str:
    """Adds what patterns find in the path; returns what is missing then, or nothing."""
    for role, pattern in patterns.items():
        match = pattern.search(row["path"].replace("\\", "/"))
        row[role] = unicodedata.normalize("NFC", (match and match[1]) or "").strip()
        if not row[role]:
            return f"--from-path finds no {role} in it"
    row["label"] = row["label"].lower()
    empty = next((name for name in REQUIRED if not row[name]), None)
    return f"empty {empty}" if empty else ""


def _translate(row: dict[str, str], imported: ImportedRows) -> None:
    """Replaces words for gender, style and split by those of a manifest; others become nothing."""
    for role, words in _WORDS.items():
        if row.get(role):
            word = plain_word(row[role])
            known = next((name for name, all_ in words.items() if word in all_.split()), "")
            if not known:
                imported.unknown_words[role][row[role]] += 1
            row[role] = known


def _check_labels(label_map: Mapping[str, str], labels: set[str]) -> None:
    for label in label_map:
        if label not in labels:
            raise ConfigError(f"--map {label}=...: {unknown_name('label', label, labels)}")


def _leave_out_repeated(imported: ImportedRows) -> None:
    """Leaves out rows of a recording that has one already; all of them where they contradict."""
    rows_of: dict[Path, list[dict[str, str]]] = defaultdict(list)
    for row in imported.rows:
        rows_of[Path(row["path"]).resolve()].append(row)
    kept = set()
    for rows in rows_of.values():
        first, *others = rows
        contradicting = [
            f"{row['label']} of {row['speaker']}" for row in rows if _claim(row) != _claim(first)
        ]
        if contradicting:
            reason = (
                f"one recording with several labels or speakers: {first['label']} of "
                f"{first['speaker']}, {', '.join(contradicting)}"
            )
            for row in rows:
                imported.leave_out(row, reason)
            continue
        kept.add(first["where"])
        for row in others:
            imported.leave_out(row, f"the same recording as in {first['where']}")
    imported.rows = [row for row in imported.rows if row["where"] in kept]


def _claim(row: Mapping[str, str]) -> tuple[str, str]:
    return row["label"], row["speaker"]
