"""The facts of a corpus as rows of text, for the terminal and for the documentation."""

from collections.abc import Mapping, Sequence

from ser_keras.corpora.base import CorpusInfo

HEAD = ("corpus", "language", "speakers", "emotions", "utterances", "licence")


def row_of(info: CorpusInfo) -> list[str]:
    """Returns a row under `HEAD`; nothing where a fact is not known or is the user's own."""
    return [
        info.name,
        ", ".join(info.languages),
        str(info.num_speakers or ""),
        str(len(info.labels) or ""),
        str(info.utterances or ""),
        info.short_licence or info.licence,
    ]


def facts_of(info: CorpusInfo, protocols: Sequence[str]) -> list[tuple[str, str]]:
    """Returns (what, fact) of everything that is known of a corpus.

    Args:
        info: the corpus.
        protocols: the names of its protocols.
    """
    facts = {
        "language": ", ".join(info.languages),
        "size": _size(info),
        "labels": _counted(info.labels),
        "speakers": _counted(info.speakers),
        "name": info.example,
        "protocols": ", ".join(protocols),
        "no others": info.speaker_dependent,
        "classes": ", ".join(info.class_sets) or "the labels",
        "licence": info.licence,
        "paper": info.citation,
        "home": info.home,
        "access": info.access,
        **{f"{what} from": source for what, source in info.sources.items()},
    }
    notes = [("note", remark) for remark in info.remarks]
    return [*((what, fact) for what, fact in facts.items() if fact), *notes]


def _size(info: CorpusInfo) -> str:
    speakers = f"{info.num_speakers} speakers" if info.num_speakers else ""
    if info.utterances is None and info.labels:
        return f"published counts are not known{speakers and f'; {speakers}'}"
    if info.utterances is None:
        return "from the data"
    return f"{info.utterances} utterances{speakers and f' of {speakers}'}"


def _counted(counts: Mapping[str, int | None]) -> str:
    return ", ".join(name if count is None else f"{name} {count}" for name, count in counts.items())
