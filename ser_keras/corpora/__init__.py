"""The corpora: one module each, with `INFO`, `parse_stem` and `read`; this is their table."""

from ser_keras.corpora import casia, emodb, iemocap, manifest, ravdess, synthetic
from ser_keras.corpora.base import Corpus, CorpusInfo, Utterance
from ser_keras.errors import ConfigError, unknown_name

CORPORA = {
    "iemocap": Corpus(iemocap.INFO, iemocap.parse_stem, iemocap.read),
    "ravdess": Corpus(ravdess.INFO, ravdess.parse_stem, ravdess.read),
    "emodb": Corpus(emodb.INFO, emodb.parse_stem, emodb.read),
    "casia": Corpus(casia.INFO, casia.parse_stem, casia.read),
    "manifest": Corpus(manifest.INFO, manifest.parse_stem, manifest.read),
    "synthetic": Corpus(synthetic.INFO, synthetic.parse_stem, synthetic.read),
}

__all__ = ["CORPORA", "Corpus", "CorpusInfo", "Utterance", "get_corpus"]


def get_corpus(name: str) -> Corpus:
    """Returns the corpus called `name`.

    Raises:
        ConfigError: no such corpus; the nearest names are suggested.
    """
    if name not in CORPORA:
        raise ConfigError(unknown_name("corpus", name, CORPORA))
    return CORPORA[name]
