"""Which corpora there are: readers in Python, the project's definitions, and a user's own ones."""

import os
import re
from pathlib import Path

from ser_keras.errors import ConfigError, unknown_name

# Corpora that need code. Imported when one is looked up, so that it does not import the others.
READERS = {
    "casia": "ser_keras.corpora.casia",
    "iemocap": "ser_keras.corpora.iemocap",
    "manifest": "ser_keras.corpora.manifest",
    "synthetic": "ser_keras.corpora.synthetic",
}
DEFINITIONS = Path(__file__).with_name("definitions")
# The folder of a user's own definitions.
OWN_FOLDER = "SER_KERAS_CORPORA"

# Names of protocols begin with it, and a hyphen follows.
_NAME = re.compile(r"[a-z][a-z0-9]*")


def corpus_names() -> list[str]:
    """Returns the names of all corpora.

    Raises:
        ConfigError: see `definition_files`.
    """
    return sorted({*READERS, *definition_files()})


def definition_files() -> dict[str, Path]:
    """Returns the YAML files by the names of their corpora, those of the user's folder last.

    Raises:
        ConfigError: the user's folder is not there, or has a file whose name is no name of a corpus
            or that of a corpus of the project.
    """
    shipped = {path.stem: path for path in sorted(DEFINITIONS.glob("*.yaml"))}
    own = {}
    for path in _own_files():
        if path.stem in {*READERS, *shipped}:
            raise ConfigError(
                f"{path}: found the name {path.stem}, which is a corpus of the project already. "
                "Rename the file."
            )
        if not _NAME.fullmatch(path.stem):
            raise ConfigError(
                f"{path}: found the name {path.stem!r}, expected small letters a to z and digits, "
                "such as mycorpus.yaml. Rename the file."
            )
        own[path.stem] = path
    return shipped | own


def unknown_corpus(name: str) -> ConfigError:
    """Returns the error for a name that no corpus has; the nearest names are suggested."""
    message = unknown_name("corpus", name, corpus_names())
    return ConfigError(f"{message}{own_folder_advice()}")


def own_folder_advice() -> str:
    """Returns how a user's own corpus is found, as a sentence; nothing where a folder is set."""
    if os.environ.get(OWN_FOLDER):
        return ""
    return f" For a corpus of your own, set {OWN_FOLDER} to the folder of its YAML file."


def _own_files() -> list[Path]:
    value = os.environ.get(OWN_FOLDER)
    if not value:
        return []
    folder = Path(value)
    if not folder.is_dir():
        raise ConfigError(
            f"{folder}: found no folder there, expected one with the YAML files of your own "
            f"corpora. Correct --corpora or {OWN_FOLDER}."
        )
    return sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
