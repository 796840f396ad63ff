"""The corpora: most are a YAML file in `definitions`; those in `READERS` need code of their own.

A module of `READERS` has `INFO`, `parse_stem` and `read`.
"""

import importlib
from pathlib import Path

from ser_keras.corpora.base import Corpus, CorpusInfo, Utterance
from ser_keras.corpora.catalogue import (
    OWN_FOLDER,
    READERS,
    corpus_names,
    definition_files,
    unknown_corpus,
)
from ser_keras.errors import ConfigError

__all__ = [
    "OWN_FOLDER",
    "READERS",
    "Corpus",
    "CorpusInfo",
    "Utterance",
    "corpus_facts",
    "corpus_names",
    "get_corpus",
    "read_corpus",
]


def get_corpus(name: str) -> Corpus:
    """Returns the corpus called `name`.

    Raises:
        ConfigError: no such corpus (the nearest names are suggested), or its definition is wrong.
    """
    if name in READERS:
        module = importlib.import_module(READERS[name])
        return Corpus(module.INFO, module.parse_stem, module.read)
    files = definition_files()
    if name not in files:
        raise unknown_corpus(name)
    from ser_keras.corpora.defined import defined_corpus

    return defined_corpus(name, files[name])


def corpus_facts(name: str) -> CorpusInfo:
    """Returns the facts of a corpus, or nothing but its name where this machine does not know it.

    A result or model of a user's own corpus can be looked at without the corpus's definition.
    """
    try:
        return get_corpus(name).info
    except ConfigError:
        unknown = "not known here"
        return CorpusInfo(name, name, None, {}, {}, (), unknown, "", "", "")


def read_corpus(
    name: str, root: str | Path, *, allow_partial: bool = False, allow_outside: bool = False
) -> list[Utterance]:
    """Returns the utterances of a corpus on disk.

    Args:
        name: name of the corpus.
        root: its folder, or the table of a manifest.
        allow_partial: accept a copy with other counts than the published ones.
        allow_outside: accept rows of a manifest that lead out of its folder.

    Raises:
        ConfigError: no such corpus, or `allow_outside` for one without a table.
        CorpusError: the reader refuses what it finds.
    """
    corpus = get_corpus(name)
    if not allow_outside:
        return corpus.read(root, allow_partial=allow_partial)
    if name != "manifest":
        raise ConfigError(f"--allow-outside is for the tables of --corpus manifest, not of {name}.")
    return corpus.read(root, allow_partial=allow_partial, allow_outside=True)
