"""What an experiment of a paper is: corpus, protocol, recipe, and the rows of its table."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Variant:
    """A row of a table that is trained here.

    Args:
        name: str. What the row is called.
        published: mapping of metric of `ser_keras.metrics` to percent; empty where the paper has no
            such row.
        changes: tuple of `key=value` on the recipe.
        recipe: str. Another recipe than the experiment's, or "".
        pretrained: bool. Starts from a file of ImageNet weights, and is not run without one.
        unlabelled: bool. Trains on unlabelled feature sets where some are given.
    """

    name: str
    published: Mapping[str, float] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    recipe: str = ""
    pretrained: bool = False
    unlabelled: bool = False


@dataclass(frozen=True)
class OtherSystem:
    """A row of a paper's table about a system that is not in this project.

    Args:
        name: str. As the paper calls it.
        published: mapping of the column's heading in the paper to percent.
    """

    name: str
    published: Mapping[str, float]


@dataclass(frozen=True)
class Experiment:
    """What a paper did on one corpus.

    Args:
        system: str. The model's name.
        corpus: str. The reader's name.
        protocol: str. A protocol of `ser_keras.protocols`.
        recipe: str. The paper's settings.
        source: str. Paper and table.
        variants: tuple of Variant.
        others: tuple of OtherSystem. The other rows of the paper's table.
        class_set: str or None. The protocol's own where None.
        folds: tuple of str. Only these; all where empty.
        note: str. What a reader must know to compare.
    """

    system: str
    corpus: str
    protocol: str
    recipe: str
    source: str
    variants: tuple[Variant, ...]
    others: tuple[OtherSystem, ...] = ()
    class_set: str | None = None
    folds: tuple[str, ...] = ()
    note: str = ""
