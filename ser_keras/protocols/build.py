"""From the name of a protocol to its folds: find its entry, select the rows, check the classes."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import pairwise

from ser_keras.corpora import CorpusInfo, corpus_names, get_corpus
from ser_keras.corpora.catalogue import own_folder_advice, unknown_corpus
from ser_keras.errors import ConfigError, unknown_name
from ser_keras.labels import CLASS_SETS, ClassSet, class_set_from
from ser_keras.labels import class_set as get_class_set
from ser_keras.protocols.builders import (
    PROTOCOLS,
    ProtocolEntry,
    leave_one_speaker_out,
    speaker_dependent,
    speaker_groups,
)
from ser_keras.protocols.folds import Fold, Protocol, Row

SPEAKER_DEPENDENT = "speaker-dependent"

_DEPENDENT_NAME = re.compile(rf"(?P<corpus>[a-z0-9]+)-{SPEAKER_DEPENDENT}-(?P<number>[0-9]{{1,3}})")
# The general protocols that test new speakers.
_NEW_SPEAKERS_NAME = re.compile(r"(?P<corpus>[a-z0-9]+)-(?P<end>loso|groups(?P<number>[0-9]{1,3}))")


def protocol_names(corpus: str) -> list[str]:
    """Returns the protocols of a corpus; the last digits stand for any number from 2 on.

    Example:
        >>> protocol_names("emodb")
        ['emodb-loso', 'emodb-speaker-dependent-5']
    """
    names = [name for name, entry in PROTOCOLS.items() if entry.corpus == corpus]
    names += [f"{corpus}-{end}" for end in get_corpus(corpus).info.protocols]
    return [*names, f"{corpus}-{SPEAKER_DEPENDENT}-5"]


def build_protocol(
    name: str,
    utterances: Iterable[Row],
    *,
    class_set: str | ClassSet | None = None,
    seed: int = 0,
) -> Protocol:
    """Returns the protocol called `name` over these utterances.

    Utterances of other corpora, and of labels outside the class set, are left out: adding a corpus
    to the data moves no utterance of another one.

    Args:
        name: a name in `PROTOCOLS`, `<corpus>-loso` where the corpus lists it, or
            `<corpus>-groups<k>` or `<corpus>-speaker-dependent-<k>` with k of at least 2.
        utterances: rows of a reader or of a feature set.
        class_set: which classes; the protocol's own, or the corpus's first, where it is None.
        seed: decides validation speakers and random parts.

    Raises:
        ConfigError: unknown names, no utterances of the corpus or of a class, or too few speakers.
        LeakageError: a fold would share speakers.
    """
    entry = _entry(name)
    rows = sorted((row for row in utterances if row.corpus == entry.corpus), key=lambda r: r.key)
    if not rows:
        raise ConfigError(
            f"{name}: found no utterances of the corpus {entry.corpus}, expected some. Take a "
            "protocol of the corpus at hand; `ser corpora NAME` lists them."
        )
    _refuse_equal_keys(name, rows)
    rows = [row for row in rows if not entry.style or row.style == entry.style]
    classes = _class_set(entry, rows, class_set)
    _refuse_single_class(name, classes)
    _refuse_unknown_labels(name, entry.corpus, rows, classes)
    used = [row for row in rows if classes.class_of(row.label)]
    _refuse_empty_classes(name, entry.corpus, rows, classes)
    folds = tuple(entry.build(used, classes, seed))
    return Protocol(
        name=name,
        corpus=entry.corpus,
        class_set=classes,
        seed=seed,
        shares_speakers=SPEAKER_DEPENDENT in name,
        shares_sentences=_shares_sentences(folds, used),
        folds=folds,
    )


def corpus_of_protocol(name: str) -> str:
    """Returns the corpus that the protocol called `name` divides.

    Raises:
        ConfigError: no such protocol; the nearest names are suggested.
    """
    return _entry(name).corpus


def _entry(name: str) -> ProtocolEntry:
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    corpora = corpus_names()
    match = _DEPENDENT_NAME.fullmatch(name)
    if match and match["corpus"] in corpora and int(match["number"]) >= 2:
        return ProtocolEntry(match["corpus"], speaker_dependent(int(match["number"])))
    match = _NEW_SPEAKERS_NAME.fullmatch(name)
    if match and match["corpus"] in corpora:
        info = get_corpus(match["corpus"]).info
        _refuse_new_speakers(name, info)
        if match["end"] == "loso" and "loso" in info.protocols:
            return ProtocolEntry(info.name, leave_one_speaker_out)
        if int(match["number"] or 0) >= 2:
            return ProtocolEntry(info.name, speaker_groups(int(match["number"])))
    raise _unknown_protocol(name, corpora)


def _unknown_protocol(name: str, corpora: Sequence[str]) -> ConfigError:
    """Returns the error for a name that no protocol has, with those of the likeliest corpora."""
    corpus = name.partition("-")[0]
    likely = [corpus] if corpus in corpora else get_close_matches(corpus, corpora, 2, cutoff=0.5)
    if not likely:
        return ConfigError(f"unknown protocol {name!r}: {unknown_corpus(corpus)}")
    known = [protocol for near in likely for protocol in protocol_names(near)]
    advice = "" if corpus in corpora else own_folder_advice()
    return ConfigError(f"{unknown_name('protocol', name, known)}{advice}")


def _refuse_new_speakers(name: str, info: CorpusInfo) -> None:
    if info.speaker_dependent:
        raise ConfigError(
            f"{name}: cannot test new speakers. {info.speaker_dependent} Take "
            f"{info.name}-{SPEAKER_DEPENDENT}-5, whose name says in every result that training and "
            "test share speakers."
        )


def _class_set(
    entry: ProtocolEntry, rows: Sequence[Row], requested: str | ClassSet | None
) -> ClassSet:
    if isinstance(requested, ClassSet):
        return requested
    default = [entry.class_set, *get_corpus(entry.corpus).info.class_sets]
    name = requested or next((name for name in default if name), None)
    if name is None:
        return class_set_from(entry.corpus, (row.label for row in rows))
    return get_class_set(name)


def _refuse_equal_keys(name: str, rows: Sequence[Row]) -> None:
    twice = [row.key for row, after in pairwise(rows) if row.key == after.key]
    if twice:
        raise ConfigError(
            f"{name}: found {len(twice)} keys more than once ({twice[0]} is the first), expected "
            "each utterance once. Read the corpus again."
        )


def _refuse_single_class(name: str, classes: ClassSet) -> None:
    if len(classes.classes) < 2:
        raise ConfigError(
            f"{name}: found {' '.join(classes.classes) or 'nothing'} as the only class, expected "
            "two classes or more: one alone is always recognised. Add recordings of other classes."
        )


def _refuse_unknown_labels(name: str, corpus: str, rows: Sequence[Row], classes: ClassSet) -> None:
    """Refuses labels outside the class set where a person wrote them: they may be misspelt.

    In a published corpus the other labels are known, and leaving them out is what was asked.
    """
    info = get_corpus(corpus).info
    if info.class_sets or info.labels:
        return
    for row in rows:
        if classes.class_of(row.label) is None:
            known = [*classes.classes, *classes.merge]
            raise ConfigError(
                f"{name}: {row.key} has the {unknown_name('label', row.label, known)} Correct the "
                f"table, or leave out --classes to take its labels as they are."
            )


def _refuse_empty_classes(name: str, corpus: str, rows: Sequence[Row], classes: ClassSet) -> None:
    labels = {row.label for row in rows}
    present = {classes.class_of(label) for label in labels}
    empty = [name for name in classes.classes if name not in present]
    if not empty:
        return
    candidates = get_corpus(corpus).info.class_sets or CLASS_SETS
    fitting = [
        candidate
        for candidate in candidates
        if all(
            any(CLASS_SETS[candidate].class_of(label) == name for label in labels)
            for name in CLASS_SETS[candidate].classes
        )
    ]
    advice = "Use the whole corpus"
    if fitting:
        advice = f"Take the class set {' or '.join(fitting)} (in commands: --classes)"
    raise ConfigError(
        f"{name}: found no utterances of {', '.join(empty)}, expected some of each class of "
        f"{classes.name}. {advice}."
    )


def _shares_sentences(folds: Iterable[Fold], rows: Sequence[Row]) -> bool:
    sentence_of = {row.key: row.sentence for row in rows}
    return any(
        {sentence_of[key] for key in (*fold.train, *fold.valid)}
        & ({sentence_of[key] for key in fold.test} - {""})
        for fold in folds
    )
