"""Finds classes that a fold tests, or validates, and never trains; and classes that nothing tests.

A model never answers with a class that it has not been trained on. The recall of 0 enters the
unweighted accuracy, and nothing in the score says why.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from shlex import quote
from typing import Any

from ser_keras.audit.findings import Finding, few
from ser_keras.protocols import Protocol


def untrained_classes(protocol: Protocol, row_of: Mapping[str, Any]) -> Iterator[Finding]:
    """Yields the classes that are missing from a part of a fold where they are needed.

    Args:
        protocol: the folds; its class set says which class a label counts as.
        row_of: by key, objects with `key`, `label` and `speaker`.
    """
    keys_of: dict[tuple[str, str], set[str]] = defaultdict(set)
    folds_of: dict[tuple[str, str], list[str]] = defaultdict(list)
    known: set[str] = set()
    tested: set[str] = set()
    for fold in protocol.folds:
        trained = _classes(fold.train, protocol, row_of)
        for part in ("test", "valid"):
            classes = _classes(getattr(fold, part), protocol, row_of)
            for name in sorted(set(classes) - set(trained)):
                folds_of[part, name].append(fold.name)
                keys_of[part, name].update(classes[name])
        known |= set(trained)
        tested |= set(_classes(fold.test, protocol, row_of))
    for (part, name), folds in folds_of.items():
        if part == "valid" and ("test", name) in folds_of:
            continue
        speakers = {
            r.speaker for r in row_of.values() if protocol.class_set.class_of(r.label) == name
        }
        yield _of_class(name, part, folds, speakers, tuple(sorted(keys_of[part, name])))
    untested = [name for name in protocol.class_set.classes if name in known - tested]
    if untested and tested:
        yield Finding(
            "classes",
            "warn",
            f"no test part has {few(untested)}: the score says nothing about "
            f"{'it' if len(untested) == 1 else 'them'}.",
        )


def _of_class(
    name: str, part: str, folds: list[str], speakers: set[str], keys: tuple[str, ...]
) -> Finding:
    where = f"in fold {folds[0]}" if len(folds) == 1 else f"in {len(folds)} folds ({few(folds)})"
    verb = "tested" if part == "test" else "validated"
    owner = f" Only {min(speakers)} has it." if len(speakers) == 1 else ""
    effect = "its recall can only be 0" if part == "test" else "it misleads the choice of the epoch"
    return Finding(
        "classes",
        "fail" if part == "test" else "warn",
        f"class {name} is {verb} {where}, but no training part there has it; {effect}.{owner} "
        "Correct the label if it is misspelt. Otherwise add recordings of it by other speakers, or "
        f"leave the class out (`ser import` with --map {quote(name)}=).",
        keys,
    )


def _classes(
    keys: tuple[str, ...], protocol: Protocol, row_of: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Returns the keys of each class that occurs among them."""
    keys_of: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        name = protocol.class_set.class_of(row_of[key].label)
        if name is not None:
            keys_of[name].append(key)
    return keys_of
