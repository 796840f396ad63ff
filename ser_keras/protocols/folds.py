"""Folds as data: which utterances train, validate and test, in a file that carries its own hash."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any
from typing import Protocol as Structure

from ser_keras.errors import ConfigError, LeakageError, SchemaError, unknown_name
from ser_keras.files import parse_json, plain_name, write_text
from ser_keras.labels import ClassSet

FORMAT = 1
PARTS = ("train", "valid", "test")


class Row(Structure):
    """What a protocol needs to know of an utterance: a reader's or a feature set's row."""

    @property
    def key(self) -> str:
        """Unique name."""

    @property
    def label(self) -> str:
        """The corpus's own emotion."""

    @property
    def speaker(self) -> str:
        """Who speaks."""

    @property
    def corpus(self) -> str:
        """Name of the corpus."""

    @property
    def session(self) -> str:
        """Recording session, or nothing."""

    @property
    def sentence(self) -> str:
        """The spoken text, or nothing."""

    @property
    def gender(self) -> str:
        """Female, male, or nothing."""

    @property
    def style(self) -> str:
        """Improvised, scripted, acted, or nothing."""

    @property
    def split(self) -> str:
        """What a manifest asks for, or nothing."""


@dataclass(frozen=True)
class Fold:
    """One division of the utterances.

    Args:
        name: str. Usable as the name of a folder.
        train: tuple of str. Keys, sorted, that weights and statistics are fitted on.
        valid: tuple of str. Keys, sorted, that choose the epoch.
        test: tuple of str. Keys, sorted, that choose nothing.
    """

    name: str
    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class Protocol:
    """A named way of dividing a corpus, with its folds.

    Args:
        name: str. As on the command line.
        corpus: str. Name of the corpus.
        class_set: ClassSet. Classes in the order of the model's outputs.
        seed: int. What random choices were drawn from.
        shares_speakers: bool. A speaker may be in more than one part; the name then says
            `speaker-dependent`.
        shares_sentences: bool. Some fold tests a known sentence that it trains on.
        folds: tuple of Fold.
    """

    name: str
    corpus: str
    class_set: ClassSet
    seed: int
    shares_speakers: bool
    shares_sentences: bool
    folds: tuple[Fold, ...]

    @cached_property
    def sha256(self) -> str:
        """Hash of everything the protocol says; equal for equal protocols on every machine."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Returns the protocol as plain values; `from_json` is the inverse."""
        return {
            "format": FORMAT,
            "name": self.name,
            "corpus": self.corpus,
            "class_set": {
                "name": self.class_set.name,
                "classes": list(self.class_set.classes),
                "merge": dict(self.class_set.merge),
            },
            "seed": self.seed,
            "shares_speakers": self.shares_speakers,
            "shares_sentences": self.shares_sentences,
            "folds": [
                {"name": fold.name} | {part: list(getattr(fold, part)) for part in PARTS}
                for fold in self.folds
            ],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Protocol":
        """Returns the protocol of `to_json`'s values.

        Raises:
            SchemaError: another format, or something is missing.
        """
        if not isinstance(values, Mapping) or values.get("format") != FORMAT:
            actual = values.get("format") if isinstance(values, Mapping) else type(values).__name__
            raise SchemaError(
                f"protocol: found format {actual!r}, expected {FORMAT}. Build the protocol again."
            )
        try:
            names = ("name", "corpus", "seed", "shares_speakers", "shares_sentences")
            return cls(
                **{name: values[name] for name in names},
                class_set=ClassSet(
                    values["class_set"]["name"],
                    tuple(values["class_set"]["classes"]),
                    dict(values["class_set"]["merge"]),
                ),
                folds=tuple(
                    Fold(
                        plain_name(fold["name"], "protocol, fold", SchemaError),
                        *(tuple(fold[part]) for part in PARTS),
                    )
                    for fold in values["folds"]
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise SchemaError(
                f"protocol: cannot read {error!s}, expected what Protocol.save writes. Build the "
                "protocol again."
            ) from None

    def save(self, path: str | Path) -> None:
        """Writes the protocol and its hash as JSON, complete or not at all."""
        text = json.dumps(self.to_json() | {"sha256": self.sha256}, indent=1, ensure_ascii=False)
        write_text(Path(path), text + "\n")

    @classmethod
    def load(cls, path: str | Path) -> "Protocol":
        """Returns the protocol in a file that `save` wrote.

        Raises:
            SchemaError: no such file, not JSON, or its contents are not those that were saved.
        """
        try:
            values = parse_json(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SchemaError(
                f"{path}: found no protocol that can be read ({error}). Build it again."
            ) from None
        stored = values.pop("sha256", None) if isinstance(values, dict) else None
        try:
            protocol = cls.from_json(values)
        except SchemaError as error:
            raise SchemaError(f"{path}: {error}") from None
        if stored != protocol.sha256:
            raise SchemaError(
                f"{path}: found the hash {str(stored)[:12]}, expected {protocol.sha256[:12]} from "
                "its contents: the file was changed after it was saved. Build the protocol again."
            )
        return protocol


def make_fold(
    name: str,
    train: Iterable[Row],
    valid: Iterable[Row],
    test: Iterable[Row],
    *,
    shares_speakers: bool = False,
) -> Fold:
    """Returns the fold of these rows, or refuses to build it.

    Raises:
        ConfigError: a part is empty.
        LeakageError: an utterance is in two parts, or a speaker is although the protocol does not
            say so.

    Example:
        >>> from types import SimpleNamespace as Row
        >>> rows = [Row(key=k, speaker=k[0]) for k in ("a1", "b1", "c1")]
        >>> make_fold("first", rows[:1], rows[1:2], rows[2:]).test
        ('c1',)
    """
    parts = dict(zip(PARTS, (list(train), list(valid), list(test)), strict=True))
    for part, rows in parts.items():
        if not rows:
            raise ConfigError(
                f"fold {name}: found no utterances for the part {part!r}, expected some. Take "
                "another protocol, or more of the corpus."
            )
    for first, second in combinations(PARTS, 2):
        _refuse_shared(name, "utterances", "key", parts, (first, second))
        if not shares_speakers:
            _refuse_shared(name, "speakers", "speaker", parts, (first, second))
    return Fold(name, *(tuple(sorted(row.key for row in rows)) for rows in parts.values()))


def _refuse_shared(
    fold: str,
    noun: str,
    attribute: str,
    parts: Mapping[str, list[Row]],
    pair: tuple[str, str],
) -> None:
    first, second = ({getattr(row, attribute) for row in parts[part]} for part in pair)
    shared = sorted(first & second)
    if shared:
        raise LeakageError(
            f"fold {fold}: found {len(shared)} {noun} in both {pair[0]} and {pair[1]} "
            f"({', '.join(shared[:4])}{', ...' if len(shared) > 4 else ''}), expected none. "
            "Correct the data, or take a protocol whose name says speaker-dependent."
        )


def choose_folds(protocol: Protocol, names: Sequence[str]) -> list[Fold]:
    """Returns the folds called `names`, in the protocol's order; all when `names` is empty.

    Raises:
        ConfigError: the protocol has no fold of a name.
    """
    known = [fold.name for fold in protocol.folds]
    for name in names:
        if name not in known:
            raise ConfigError(unknown_name(f"fold of {protocol.name}", name, known))
    return [fold for fold in protocol.folds if not names or fold.name in names]
