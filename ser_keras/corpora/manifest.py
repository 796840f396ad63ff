r"""A corpus of one's own, described by a CSV table.

Where: from the user, under the user's licence.

Tree: the table, and audio in its folder or below, in any format of `ser_keras.audio`::

    manifest.csv
    anna/001.wav

Table: text with a header; commas, semicolons, tabs or bars between the columns, in UTF-8, UTF-16 or
Windows-1252, which is found out. Columns `path`, `label` and `speaker` are required;
`session`, `sentence`, `split` (train, valid, test), `gender` (female, male) and `style`
(improvised, scripted, acted) may be there and may be empty; further columns are ignored::

    path,label,speaker,split
    anna/001.wav,happy,anna,train

File names carry no meaning. A label becomes lower case; those of `ser_keras.labels.EMOTIONS` keep
their place, others follow. A relative path starts at the table's folder, and may have `\` for `/`.
No path may lead out of that folder, not by `..`, not by a link and not by being absolute, unless
`allow_outside` is asked. A table with other names of columns is what `ser import` is for.

Counts: whatever the table holds, up to `MAX_ROWS` rows.
"""

import sys
from pathlib import Path

from ser_keras.corpora.base import CorpusInfo, Utterance, unique_keys
from ser_keras.corpora.csv_table import read_rows
from ser_keras.corpora.table_paths import find_recording, resolver
from ser_keras.errors import CorpusError

MAX_ROWS = 1_000_000

_REQUIRED = ("path", "label", "speaker")
_WORDS = {
    "split": ("train", "valid", "test"),
    "gender": ("female", "male"),
    "style": ("improvised", "scripted", "acted"),
}
_OPTIONAL = ("session", "sentence", *_WORDS)
_REMEDY = (
    "Add it; where another column holds it, `ser import` writes the table that is expected here."
)

INFO = CorpusInfo(
    name="manifest",
    title="CSV manifest",
    utterances=None,
    labels={},
    speakers={},
    class_sets=(),
    licence="the user's",
    citation="",
    home="",
    access="Write a CSV table with the columns path,label,speaker, or let `ser import` make one of "
    "another table. Give it, or the folder that holds it as manifest.csv.",
)


def parse_stem(stem: str) -> dict[str, str]:
    """Returns nothing, whatever `stem` is: the table says everything."""
    del stem
    return {}


def read(
    root: str | Path,
    *,
    allow_partial: bool = False,
    allow_outside: bool = False,
    max_rows: int = MAX_ROWS,
) -> list[Utterance]:
    """Returns one utterance per row, in the table's order; its key is its path without suffix.

    Args:
        root: the CSV file, or a folder that holds it as `manifest.csv`.
        allow_partial: changes nothing; a table has no published size.
        allow_outside: accept paths that lead out of the table's folder.
        max_rows: most rows a table may have.

    Raises:
        CorpusError: names the table, the row, what was found and what is expected there.
    """
    del allow_partial
    table = Path(root)
    table = table / "manifest.csv" if table.is_dir() else table
    if not table.is_file():
        raise CorpusError(f"{INFO.title}: found no file {table}. {INFO.access}")
    folder = table.parent.resolve()
    resolve = resolver()
    utterances = []
    seen: dict[Path, str] = {}
    for where, values in read_rows(
        table, required=_REQUIRED, optional=_OPTIONAL, max_rows=max_rows, remedy=_REMEDY
    ):
        written, path = find_recording(
            values.pop("path"), folder, where, allow_outside=allow_outside, resolve=resolve
        )
        if path in seen:
            raise CorpusError(
                f"{where}: found {written!r}, which is there already at {seen[path]}. Expected "
                "each recording once; remove one of the rows."
            )
        seen[path] = where
        _check_words(values, where)
        values["label"] = values["label"].lower()
        # The same few words in a million rows are kept once.
        values = {name: sys.intern(value) for name, value in values.items()}
        key = f"manifest/{Path(written).with_suffix('').as_posix()}"
        utterances.append(Utterance(key, path, corpus="manifest", **values))
    if not utterances:
        raise CorpusError(f"{table}: found no rows below the header, expected one per recording.")
    return unique_keys(utterances)


def _check_words(values: dict[str, str], where: str) -> None:
    for name, words in _WORDS.items():
        if values[name] and values[name] not in words:
            raise CorpusError(
                f"{where}: found the {name} {values[name]!r}, expected one of {', '.join(words)}, "
                "or nothing. Correct the row."
            )
