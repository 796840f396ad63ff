"""Emotion names and class orders: the one owner of what output unit k of a model means.

Readers give every utterance its corpus's own emotion in the words of `EMOTIONS`. A `ClassSet` then
says which of them an experiment uses, in which order, and which are merged. The order travels with
the features, the model and the server; nothing else in the project sorts labels.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ser_keras.errors import ConfigError, unknown_name

EMOTIONS = (
    "neutral",
    "calm",
    "happy",
    "excited",
    "sad",
    "angry",
    "fearful",
    "disgusted",
    "surprised",
    "bored",
)


@dataclass(frozen=True)
class ClassSet:
    """An ordered set of classes, with the labels merged into them.

    Args:
        name: str. Name under which results report it.
        classes: tuple of str. Position k is output unit k.
        merge: mapping of label to class, for labels that count as another class.

    Example:
        >>> CLASS_SETS["iemocap4"].class_of("excited")
        'happy'
        >>> CLASS_SETS["iemocap4"].index("sad")
        3
    """

    name: str
    classes: tuple[str, ...]
    merge: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def class_of(self, label: str) -> str | None:
        """Returns the class of `label`, or None where the set leaves that label out."""
        name = self.merge.get(label, label)
        return name if name in self.classes else None

    def index(self, label: str) -> int:
        """Returns the output unit of `label`.

        Raises:
            ConfigError: the set has no such label.
        """
        name = self.class_of(label)
        if name is None:
            raise ConfigError(unknown_name(f"label of class set {self.name}", label, self.classes))
        return self.classes.index(name)


CLASS_SETS = {
    classes.name: classes
    for classes in (
        ClassSet(
            "iemocap4",
            ("angry", "happy", "neutral", "sad"),
            MappingProxyType({"excited": "happy"}),
        ),
        ClassSet("iemocap4-no-excited", ("angry", "happy", "neutral", "sad")),
        ClassSet(
            "ravdess8",
            (
                "neutral",
                "calm",
                "happy",
                "sad",
                "angry",
                "fearful",
                "disgusted",
                "surprised",
            ),
        ),
        ClassSet(
            "emodb7",
            ("angry", "bored", "neutral", "happy", "fearful", "sad", "disgusted"),
        ),
        ClassSet("emodb4", ("angry", "happy", "neutral", "sad")),
        ClassSet("casia6", ("angry", "fearful", "happy", "neutral", "sad", "surprised")),
        ClassSet("nemo6", ("neutral", "sad", "angry", "happy", "fearful", "surprised")),
        ClassSet("synthetic4", ("angry", "happy", "neutral", "sad")),
    )
}


def class_set(name: str) -> ClassSet:
    """Returns the class set called `name`.

    Raises:
        ConfigError: no such class set; the nearest names are suggested.
    """
    if name not in CLASS_SETS:
        raise ConfigError(unknown_name("class set", name, CLASS_SETS))
    return CLASS_SETS[name]


def class_set_from(name: str, labels: Iterable[str]) -> ClassSet:
    """Returns a class set of these labels: known emotions in their order, then the others.

    For corpora whose classes come from the user's own table.

    Example:
        >>> class_set_from("mine", ["sad", "angry", "proud", "sad"]).classes
        ('sad', 'angry', 'proud')
    """
    names = set(labels)
    known = [emotion for emotion in EMOTIONS if emotion in names]
    return ClassSet(name, tuple(known + sorted(names - set(known))))
