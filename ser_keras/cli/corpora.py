"""The verbs for corpora: list, download, import, audit."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence, Sized
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from ser_keras.cli.console import console, print_findings, print_table
from ser_keras.cli.options import ClassSetName, OwnCorpora, Seed, pairs_of
from ser_keras.errors import ConfigError, CorpusError

_SHOWN_ROWS = 10


def corpora(
    name: Annotated[
        str | None, typer.Argument(help="Name of a corpus, to show it in full; all by default.")
    ] = None,
    own: OwnCorpora = None,
) -> None:
    """List the corpora: language, speakers, emotions, utterances, licence; or show one in full."""
    from ser_keras.corpora import corpus_names, get_corpus
    from ser_keras.corpora.facts import HEAD, row_of

    del own
    if name is not None:
        _print_corpus(name)
        return
    print_table(HEAD, [row_of(get_corpus(corpus).info) for corpus in corpus_names()])
    console.print(
        "\nA corpus in full, with its protocols and how to get it: ser corpora NAME. Nothing is "
        "written where a fact is not known, or is the user's own.",
        soft_wrap=False,
    )


def _print_corpus(name: str) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from ser_keras.corpora import get_corpus
    from ser_keras.corpora.facts import facts_of
    from ser_keras.protocols import protocol_names

    info = get_corpus(name).info
    console.print(info.name, style="bold", end="")
    console.print(f": {info.title}")
    table = Table.grid(padding=(0, 2))
    for what, fact in facts_of(info, protocol_names(name)):
        table.add_row(what, Text(fact))
    console.print(Padding(table, (0, 0, 0, 2)), soft_wrap=False)


def download(
    corpus: Annotated[str, typer.Argument(help="ravdess or emodb.")],
    data_dir: Annotated[
        Path, typer.Option(help="Folder in which the corpus gets a folder of its own.")
    ],
) -> None:
    """Download a free corpus and check it; an interrupted download continues where it stopped."""
    from ser_keras.corpora.download import download as fetch

    console.print(f"{corpus} is at {fetch(corpus, data_dir / corpus)}")


def import_table(
    table: Annotated[Path, typer.Argument(help="The table to convert.")],
    output: Annotated[Path, typer.Option(help="The table to write, such as table.csv.")],
    columns: Annotated[
        list[str] | None,
        typer.Option(
            help="Which column holds what, such as path=file_id,label=emotion,speaker=speaker_id. "
            "Usual names are recognised; nothing after = leaves a column out."
        ),
    ] = None,
    audio_dir: Annotated[
        Path | None, typer.Option(help="Folder of the recordings; that of the table by default.")
    ] = None,
    label_map: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            help="Labels to rename, such as anger=angry,fear=fearful; nothing after = leaves a "
            "label's rows out.",
        ),
    ] = None,
    from_path: Annotated[
        list[str] | None,
        typer.Option(
            help="Read a column from the path, with a regular expression of one group, such as "
            "'speaker=^([^_]+)_'."
        ),
    ] = None,
    allow_outside: Annotated[
        bool, typer.Option(help="Accept paths that lead out of the folder of the recordings.")
    ] = False,
    check: Annotated[
        bool, typer.Option(help="Decode each recording, and leave out those that cannot be used.")
    ] = True,
) -> None:
    """Convert a table that has other names for columns, labels or files.

    Writes a table for `--corpus manifest`. Rows that cannot be used are left out and listed. Where
    it is unclear which column holds what, the command asks; outside a terminal it ends and names
    the option to add.
    """
    from rich.progress import track

    from ser_keras.corpora.csv_table import open_table
    from ser_keras.corpora.recording_index import RecordingIndex
    from ser_keras.corpora.table_columns import path_patterns
    from ser_keras.corpora.table_import import import_rows, leave_out_unreadable

    folder = audio_dir or table.parent
    _check_files(table, output, folder)
    opened = open_table(table)
    patterns = path_patterns(pairs_of("--from-path", from_path, separator=None))
    chosen = _choose_columns(opened, pairs_of("--columns", columns), set(patterns))
    renamed = {old.lower(): new.lower() for old, new in pairs_of("--map", label_map).items()}
    with console.status("looking for the recordings"):
        index = RecordingIndex(folder, allow_outside)
        imported = import_rows(opened, chosen, patterns, renamed, index)
    if check:
        leave_out_unreadable(imported, lambda rows: track(rows, "decoding", **_bar()))
    _check_any(imported, table, folder, len(index))
    _offer_synonyms(imported.rows)
    _write_import(imported, output)


def _bar() -> dict[str, Any]:
    return {"console": console, "transient": True, "disable": not console.is_terminal}


def _check_files(table: Path, output: Path, folder: Path) -> None:
    if not table.is_file():
        raise CorpusError(f"{table}: found no file there, expected a table.")
    if output.exists() and output.samefile(table):
        raise ConfigError(f"--output {output}: is the table itself. Give another name.")
    if not folder.is_dir():
        raise ConfigError(f"--audio-dir {folder}: found no folder there.")


def _check_any(imported: Any, table: Path, folder: Path, num_recordings: int) -> None:
    if not imported.rows:
        raise CorpusError(
            f"{table}: found no row that can be used, and {num_recordings} recordings in {folder}. "
            f"{imported.reasons()} Give the folder of the recordings by --audio-dir, and "
            "the column of their paths by --columns path=COLUMN."
        )


def _choose_columns(table: Any, named: Mapping[str, str], known: set[str]) -> dict[str, str]:
    """Returns the columns of a table by what they hold; asks where that is unclear."""
    from rich.prompt import Prompt

    from ser_keras.corpora import table_columns

    names = [name for name in table.columns if name]
    chosen = table_columns.choose_columns(table, named, known)
    guessed = [f"{role}={column}" for role, column in chosen.items() if role not in named]
    for role in table_columns.REQUIRED:
        if role in chosen or role in known:
            continue
        sentence = table_columns.question(table, role, chosen)
        if not _asks():
            raise ConfigError(sentence)
        console.print(sentence)
        chosen[role] = Prompt.ask(f"Column for {role}", console=console, choices=names)
    if guessed:
        console.print(f"guessed: --columns {quote(','.join(guessed))}")
    unused = [name for name in names if name not in chosen.values()]
    if unused:
        console.print(f"not used: {', '.join(unused)}")
    return chosen


def _offer_synonyms(rows: Sequence[dict[str, str]]) -> None:
    """Renames labels that are other words for known emotions, where the user wants it."""
    from rich.prompt import Confirm

    from ser_keras.labels import emotion_of_word

    labels = sorted({row["label"] for row in rows})
    words = {label: word for label in labels if (word := emotion_of_word(label))}
    if not words:
        return
    pairs = ",".join(f"{label}={word}" for label, word in words.items())
    for label, word in words.items():
        console.print(f"label {label} is another word for {word}")
    if not _asks():
        _note("to rename them", f"add --map {quote(pairs)}")
        return
    if Confirm.ask("Rename them?", console=console, default=True):
        for row in rows:
            row["label"] = words.get(row["label"], row["label"])


def _asks() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _write_import(imported: Any, output: Path) -> None:
    """Writes the table, lists what was left out, and says what to do next."""
    from ser_keras.audit import audit_names
    from ser_keras.corpora import read_corpus
    from ser_keras.corpora.table_import import manifest_rows
    from ser_keras.files import write_csv

    rows = manifest_rows(imported.rows, output.parent)
    write_csv(output, rows)
    left_out = output.with_name(f"{output.stem}.left-out.csv")
    left_out.unlink(missing_ok=True)
    for column, words in imported.unknown_words.items():
        shown = ", ".join(word for word, _ in words.most_common(3))
        _note(column, f"left empty where a manifest has no such word ({shown})")
    if imported.left_out:
        write_csv(left_out, imported.left_out)
        _note("left out", f"{_count(imported.left_out, 'row')}, listed in {left_out}")
        for row in imported.left_out[:_SHOWN_ROWS]:
            console.print(f"  {row['where']}: {row['path']}: {row['reason']}")
    folder = output.parent.resolve()
    outside = not all(Path(row["path"]).resolve().is_relative_to(folder) for row in imported.rows)
    utterances = read_corpus("manifest", output, allow_outside=outside)
    print_findings([f for f in audit_names(utterances) if f.severity == "warn"], nothing="")
    labels = Counter(utterance.label for utterance in utterances)
    speakers = {utterance.speaker for utterance in utterances}
    listed = ", ".join(f"{label} {count}" for label, count in labels.most_common())
    console.print(
        f"{output}: {_count(rows, 'recording')}, {_count(labels, 'class', 'classes')} ({listed}), "
        f"{_count(speakers, 'speaker')}",
    )
    folds = " --protocol manifest-loso" * (len(speakers) > 2 and len(labels) > 1)
    options = f"--data-dir {quote(str(output))}{folds}{' --allow-outside' * outside}"
    console.print(f"next: ser audit --corpus manifest {options}")


def _count(things: Sized, noun: str, plural: str = "") -> str:
    return f"{len(things)} {noun if len(things) == 1 else plural or f'{noun}s'}"


def _note(what: str, text: str) -> None:
    console.print(what, style="yellow", end="")
    console.print(f": {text}")


def audit(
    corpus: Annotated[str, typer.Option(help="Corpus to audit; see `ser corpora`.")],
    data_dir: Annotated[Path, typer.Option(help="Folder of the corpus.")],
    protocol: Annotated[
        str | None, typer.Option(help="Audit this protocol's folds as well.")
    ] = None,
    class_set: ClassSetName = None,
    allow_partial: Annotated[bool, typer.Option(help="Accept a partial or doubled copy.")] = False,
    allow_outside: Annotated[
        bool, typer.Option(help="Accept rows of a manifest that lead out of its folder.")
    ] = False,
    seed: Seed = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that read the recordings.")] = 1,
    corpora: OwnCorpora = None,
) -> None:
    """Look for leaks: duplicate recordings, shared speakers and sentences, names that look alike.

    The exit code is 6 if a protocol breaks what its name promises.
    """
    from rich.progress import track

    del corpora
    from ser_keras import audit as leakage
    from ser_keras.corpora import read_corpus
    from ser_keras.protocols import build_protocol

    utterances = read_corpus(
        corpus, data_dir, allow_partial=allow_partial, allow_outside=allow_outside
    )
    listening = track(
        leakage.rows_of(utterances, workers), "listening", total=len(utterances), **_bar()
    )
    rows = list(listening)
    if protocol:
        folds = build_protocol(protocol, utterances, class_set=class_set, seed=seed)
        findings = leakage.audit_rows(folds, rows)
    else:
        findings = [*leakage.audit_audio(rows), *leakage.audit_names(rows)]
    print_findings(findings)
    leakage.enforce(findings)
