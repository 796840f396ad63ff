"""The classes of several corpora together, of which each corpus has some."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from ser_keras.labels import ClassSet


@dataclass(frozen=True)
class UnionClasses:
    """The classes of an experiment, and behind them the labels that only its joint corpora have.

    A network that is trained on several corpora has one output unit for each class of the union.
    For an utterance the softmax runs over the classes of its own corpus, because a corpus without a
    class says nothing about it.

    Args:
        class_set: the experiment's classes, which come first.
        others: tuple of str. Labels outside of it.
    """

    class_set: ClassSet
    others: tuple[str, ...] = ()

    @classmethod
    def of(cls, class_set: ClassSet, labels: Collection[str]) -> "UnionClasses":
        """Returns the union of a class set with the labels of joint corpora.

        Example:
            >>> from ser_keras.labels import CLASS_SETS
            >>> UnionClasses.of(CLASS_SETS["iemocap4"], ["sad", "excited", "calm", "bored"]).others
            ('bored', 'calm')
        """
        others = {label for label in labels if class_set.class_of(label) is None}
        return cls(class_set, tuple(sorted(others)))

    @property
    def size(self) -> int:
        """Number of classes of the union."""
        return len(self.class_set.classes) + len(self.others)

    def index(self, label: str) -> int:
        """Returns the output unit of a label."""
        if self.class_set.class_of(label) is None:
            return len(self.class_set.classes) + self.others.index(label)
        return self.class_set.index(label)

    def of_corpus(self, labels: Collection[str]) -> np.ndarray:
        """Returns which classes a corpus with these labels has, bool (size,)."""
        has = np.zeros(self.size, bool)
        has[[self.index(label) for label in labels]] = True
        return has
