"""The experiment of a paper: corpus, protocol, recipe, and the rows of its table."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Variant:
    """A row of a table that is trained here.

    Args:
        name: str. Name of the row.
        published: mapping of metric of `ser_keras.metrics` to percent; empty if the paper has no
            such row.
        changes: tuple of `key=value` on the recipe.
        recipe: str. The recipe if it is not the experiment's, otherwise "".
        pretrained: bool. It starts from a file of ImageNet weights, and is not run without one.
        unlabelled: bool. It also trains on unlabelled feature sets, if some are given.
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
        name: str. Its name in the paper.
        published: mapping of the column's heading in the paper to percent.
    """

    name: str
    published: Mapping[str, float]


@dataclass(frozen=True)
class Experiment:
    """A paper's experiment on one corpus.

    Args:
        system: str. The model's name.
        corpus: str. Name of the corpus.
        protocol: str. A protocol of `ser_keras.protocols`.
        recipe: str. The paper's settings.
        source: str. Paper and table.
        variants: tuple of Variant.
        others: tuple of OtherSystem. The other rows of the paper's table.
        class_set: str or None. Name of a class set; the protocol's own when None.
        folds: tuple of str. Only these folds; all when empty.
        note: str. What readers need to know for the comparison.
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
