"""Finds one person, or one class, under two names.

A speaker who is Anna in half of the rows and anna in the others is tested by a model that was
trained on her: the score is too high. A class that is happy here and happiness there is two classes
that nobody can tell apart: the score is too low.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, takewhile
from shlex import quote
from typing import Any

from ser_keras.audit.findings import Finding, few
from ser_keras.labels import EMOTIONS, emotion_of_word, plain_word

# Below this length a word with another letter is mostly another word: bad and sad.
_MIN_LETTERS_REPLACED = 5
_MIN_LETTERS_ADDED = 3
# More are no emotions but names or texts, and comparing all pairs would take long.
_MAX_LABELS_COMPARED = 200
# What stands in a table where nobody knows who speaks.
_NOBODY = {"unknown", "unk", "none", "null", "anonymous", "anon", "various", "unbekannt", "n/a"}
# Nan and Na are names; these are what tables have in empty fields.
_EMPTY = {"nan", "NaN", "NA"}
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})


def audit_names(
    rows: Sequence[Any], class_of: Callable[[str], str | None] = lambda label: label
) -> list[Finding]:
    """Returns warnings about speakers, and about labels, that may be the same under two names.

    Args:
        rows: objects with `key`, `label` and `speaker`.
        class_of: the class that a label counts as, None where it is left out.
    """
    keys_of_speaker: dict[str, list[str]] = defaultdict(list)
    keys_of_label: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        keys_of_speaker[row.speaker].append(row.key)
        label = class_of(row.label)
        if label is not None:
            keys_of_label[label].append(row.key)
    return [*_speakers(keys_of_speaker), *_labels(keys_of_label)]


def lookalikes(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Returns the groups of names that differ in nothing but how they are written.

    Capitals, blanks, punctuation and accents do not count, and neither do zeros in front of a
    number nor `.0` behind it.

    Example:
        >>> lookalikes(["Anna", "anna ", "Zoë", "zoe", "1", "01", "1.0", "11", "1-1"])
        [('01', '1', '1.0'), ('Anna', 'anna '), ('Zoë', 'zoe')]
    """
    ways_of = {name: _ways_of_writing(name) for name in sorted(set(names))}
    groups: dict[str, set[str]] = {}
    for name, ways in ways_of.items():
        group = {name}.union(*(groups.get(way, ()) for way in ways))
        groups.update((way, group) for member in group for way in ways_of[member])
    return sorted({tuple(sorted(group)) for group in groups.values() if len(group) > 1})


def _ways_of_writing(name: str) -> set[str]:
    return {plain_name(name), plain_name(name.casefold().translate(_UMLAUTS))}


def plain_name(name: str) -> str:
    """Returns the same text for names that look alike.

    Example:
        >>> plain_name("Zoë B."), plain_name("Spk-01"), plain_name("2.0")
        ('zoeb', 'spk1', '2')
    """
    whole_number = re.fullmatch(r"(\d+)\.0+", name.strip())
    text = plain_word(whole_number[1] if whole_number else name)
    return re.sub(r"(?<!\d)0+(?=\d)", "", text)


def _speakers(keys_of: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    nobody = [name for name in keys_of if _is_nobody(name)]
    if nobody:
        keys = _keys([nobody], keys_of)
        yield Finding(
            "names",
            "warn",
            f"{few(nobody)} is no name of a speaker: {len(keys)} utterances count as those of one "
            "person, who may be anybody that is tested. Leave them out, or find out who speaks.",
            keys,
        )
    groups = lookalikes(keys_of)
    if not groups:
        return
    several = f"{len(groups)} speakers" if len(groups) > 1 else "a speaker"
    yield Finding(
        "names",
        "warn",
        f"{several} may be there under more than one name: {_listed(groups)}. Give a person the "
        "same name in every row, or a model is tested on a voice that it was trained on.",
        _keys(groups, keys_of),
    )


def _is_nobody(name: str) -> bool:
    word = name.strip()
    is_sign = not any(letter.isalnum() for letter in word)
    return is_sign or word in _EMPTY or word.casefold() in _NOBODY


def _labels(keys_of: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    labels_of: dict[str, list[str]] = defaultdict(list)
    for label in sorted(keys_of):
        labels_of[emotion_of_word(label) or label].append(label)
    synonyms = [tuple(labels) for labels in labels_of.values() if len(labels) > 1]
    alike = [*lookalikes(keys_of), *_misspelt(keys_of)]
    doubled = [*synonyms, *(group for group in alike if not _inside(group, synonyms))]
    if doubled:
        renaming = quote(",".join(_renaming(group, keys_of) for group in doubled[:3]))
        yield Finding(
            "names",
            "warn",
            f"labels may mean the same class: {_listed(doubled)}. Each of them is a class of its "
            f"own now, and a model cannot tell them apart. `ser import` with --map "
            f"{renaming} joins them.",
            _keys(doubled, keys_of),
        )
    others = [
        f"{labels[0]}={emotion}"
        for emotion, labels in labels_of.items()
        if len(labels) == 1 and labels[0] != emotion
    ]
    if others:
        yield Finding(
            "names",
            "info",
            f"other corpora have other words for these labels; `ser import` with --map "
            f"{quote(','.join(others))} takes theirs.",
        )


def _renaming(group: Sequence[str], keys_of: Mapping[str, Sequence[str]]) -> str:
    """Returns what makes the group one label: the project's own word, or else the commonest."""
    own = [label for label in group if label in EMOTIONS]
    emotion = next((word for label in group if (word := emotion_of_word(label))), None)
    name = own[0] if own else emotion or max(group, key=lambda label: len(keys_of[label]))
    return ",".join(f"{label}={name}" for label in group if label != name)


def _misspelt(labels: Iterable[str]) -> list[tuple[str, ...]]:
    return [
        pair
        for pair in combinations(sorted(labels), 2)
        if _one_letter_apart(*map(plain_word, pair))
    ]


def _one_letter_apart(first: str, second: str) -> bool:
    """Returns whether a letter is missing, wrong, or has changed places with its neighbour.

    Digits are no misspelling: class1 and class2 are two classes.
    """
    short, long = sorted((first, second), key=len)
    start = _shared_letters(short, long)
    end = _shared_letters(short[start:][::-1], long[start:][::-1])
    other, changed = short[start : len(short) - end], long[start : len(long) - end]
    if re.search(r"\d", other + changed) or len(short) < _MIN_LETTERS_ADDED:
        return False
    swapped = len(changed) == 2 and other == changed[::-1]
    added = (len(other), len(changed)) == (0, 1)
    replaced = (len(other), len(changed)) == (1, 1) and len(short) >= _MIN_LETTERS_REPLACED
    return swapped or added or replaced


def _shared_letters(first: str, second: str) -> int:
    """Returns how many letters two words begin with together."""
    same = (a == b for a, b in zip(first, second, strict=False))
    return sum(1 for _ in takewhile(bool, same))


def _inside(group: Sequence[str], groups: Iterable[Sequence[str]]) -> bool:
    return any(set(group) <= set(larger) for larger in groups)


def _listed(groups: Sequence[Sequence[str]]) -> str:
    return few([" and ".join(_quoted(name) for name in group) for group in groups])


def _quoted(name: str) -> str:
    return name if name == name.strip() else repr(name)


def _keys(groups: Iterable[Iterable[str]], keys_of: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    return tuple(sorted({key for group in groups for name in group for key in keys_of[name]}))
