"""The corpora: one module each, with `INFO`, `parse_stem` and `read`; this is their table."""

import importlib
from pathlib import Path

from ser_keras.corpora.base import Corpus, CorpusInfo, Utterance
from ser_keras.errors import ConfigError, unknown_name

# Imported when a corpus is looked up, so that reading one corpus does not import the others.
CORPORA = {
    "iemocap": "ser_keras.corpora.iemocap",
    "ravdess": "ser_keras.corpora.ravdess",
    "emodb": "ser_keras.corpora.emodb",
    "casia": "ser_keras.corpora.casia",
    "nemo": "ser_keras.corpora.nemo",
    "manifest": "ser_keras.corpora.manifest",
    "synthetic": "ser_keras.corpora.synthetic",
}

__all__ = ["CORPORA", "Corpus", "CorpusInfo", "Utterance", "get_corpus", "read_corpus"]


def get_corpus(name: str) -> Corpus:
    """Returns the corpus called `name`.

    Raises:
        ConfigError: no such corpus; the nearest names are suggested.
    """
    if name not in CORPORA:
        raise ConfigError(unknown_name("corpus", name, CORPORA))
    module = importlib.import_module(CORPORA[name])
    return Corpus(module.INFO, module.parse_stem, module.read)


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
