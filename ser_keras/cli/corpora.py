"""The verbs for corpora: list, download, audit."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ser_keras.cli.console import console, print_findings
from ser_keras.cli.options import ClassSetName, Seed


def corpora() -> None:
    """List the corpora: size, classes, speakers, protocols, licence, and how to get each."""
    from ser_keras.corpora import CORPORA, get_corpus
    from ser_keras.protocols import protocol_names

    for name in CORPORA:
        info = get_corpus(name).info
        console.print(f"[bold]{name}[/]: {info.title}")
        facts = {
            "size": _size(info),
            "labels": ", ".join(f"{label} {count}" for label, count in info.labels.items()),
            "protocols": ", ".join(protocol_names(name)),
            "classes": ", ".join(info.class_sets) or "from the labels",
            "licence": info.licence,
            "access": info.access,
        }
        for what, text in facts.items():
            console.print(f"  {what:9} {text or 'from the data'}", markup=False)


def _size(info: Any) -> str:
    if info.utterances is None:
        return "from the data"
    return f"{info.utterances} utterances of {len(info.speakers)} speakers"


def download(
    corpus: Annotated[str, typer.Argument(help="ravdess or emodb.")],
    data_dir: Annotated[Path, typer.Option(help="Folder in which the corpus's own is created.")],
) -> None:
    """Download a free corpus: resumable, hash-checked, unpacked safely."""
    from ser_keras.corpora.download import download as fetch

    console.print(f"{corpus} is at {fetch(corpus, data_dir / corpus)}")


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
) -> None:
    """Look for leaks: duplicate recordings, shared speakers and sentences.

    Exits with 6 where a protocol breaks what its name promises.
    """
    from rich.progress import track

    from ser_keras import audit as leakage
    from ser_keras.corpora import read_corpus
    from ser_keras.protocols import build_protocol

    utterances = read_corpus(
        corpus, data_dir, allow_partial=allow_partial, allow_outside=allow_outside
    )
    rows = [
        leakage.row_of(utterance)
        for utterance in track(utterances, "listening", console=console, transient=True)
    ]
    findings = leakage.audit_audio(rows)
    if protocol:
        findings += leakage.audit_protocol(
            build_protocol(protocol, utterances, class_set=class_set, seed=seed), rows
        )
    print_findings(findings)
    leakage.enforce(findings)
