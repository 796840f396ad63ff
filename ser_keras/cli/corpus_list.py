"""What `ser corpora` prints: a table of all corpora, or everything about one."""

from collections.abc import Iterable, Mapping

from ser_keras.cli.console import console, print_table
from ser_keras.corpora import CorpusInfo, corpus_names, get_corpus
from ser_keras.protocols import protocol_names

_HEAD = ("corpus", "language", "speakers", "emotions", "utterances", "licence")


def print_all() -> None:
    """Prints a row for every corpus."""
    infos = [get_corpus(name).info for name in corpus_names()]
    print_table(_HEAD, [_row(info) for info in infos])
    console.print(
        "\nA corpus in full, with its protocols and how to get it: ser corpora NAME. Nothing is "
        "written where a fact is not known, or is the user's own.",
        soft_wrap=False,
    )


def _row(info: CorpusInfo) -> list[str]:
    return [
        info.name,
        ", ".join(info.languages),
        str(info.num_speakers or ""),
        str(len(info.labels) or ""),
        str(info.utterances or ""),
        info.short_licence or info.licence,
    ]


def print_one(name: str) -> None:
    """Prints what is known of a corpus.

    Raises:
        ConfigError: no such corpus; the nearest names are suggested.
    """
    info = get_corpus(name).info
    console.print(info.name, style="bold", end="")
    console.print(f": {info.title}")
    facts = {
        "language": ", ".join(info.languages),
        "size": _size(info),
        "labels": _counted(info.labels),
        "speakers": _counted(info.speakers),
        "name": info.example,
        "protocols": ", ".join(protocol_names(name)),
        "": info.speaker_dependent,
        "classes": ", ".join(info.class_sets) or "the labels",
        "licence": info.licence,
        "paper": info.citation,
        "home": info.home,
        "access": info.access,
    }
    sources = [(f"{what} from", source) for what, source in info.sources.items()]
    _print_facts([*facts.items(), *sources, *(("note", remark) for remark in info.remarks)])


def _size(info: CorpusInfo) -> str:
    speakers = f"{info.num_speakers} speakers" if info.num_speakers else ""
    if info.utterances is None and info.labels:
        return f"published counts are not known{speakers and f'; {speakers}'}"
    if info.utterances is None:
        return "from the data"
    return f"{info.utterances} utterances{speakers and f' of {speakers}'}"


def _counted(counts: Mapping[str, int | None]) -> str:
    return ", ".join(name if count is None else f"{name} {count}" for name, count in counts.items())


def _print_facts(facts: Iterable[tuple[str, str]]) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for what, fact in facts:
        if fact:
            table.add_row(what, Text(fact))
    console.print(Padding(table, (0, 0, 0, 2)), soft_wrap=False)
