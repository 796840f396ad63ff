"""Choices a protocol leaves open, made once: validation speakers and stratified parts.

Speakers are drawn by a hash of seed, fold and speaker, not by their position in a list. A speaker
who joins the corpus changes a fold's validation part only by being chosen for it, and never its
test part.
"""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from ser_keras.errors import ConfigError
from ser_keras.protocols.folds import Row

MIN_TRAIN_SPEAKERS = 2
# A folder's name has at most 255 bytes on most file systems, and files are named after it.
_MAX_LETTERS = 60
_MAX_BYTES = 180


def validation_speakers(rows: Sequence[Row], fold: str, seed: int) -> set[str]:
    """Returns who of a training part validates instead: one woman and one man, drawn by the seed.

    One speaker of either gender is drawn where genders are unknown or of one kind only, or where
    two would leave fewer than `MIN_TRAIN_SPEAKERS` to train on.

    Args:
        rows: the training part.
        fold: name of the fold; every fold draws anew.
        seed: the protocol's seed.

    Raises:
        ConfigError: fewer than two speakers, so that nobody would be left to train on.
    """
    gender_of = {row.speaker: row.gender for row in rows}
    if len(gender_of) < 2:
        raise ConfigError(
            f"fold {fold}: found {len(gender_of)} speakers besides the test part, expected at "
            "least 2, one to train and one to validate. Use more speakers."
        )
    drawn = sorted(gender_of, key=lambda speaker: _draw(seed, fold, speaker))
    women = [speaker for speaker in drawn if gender_of[speaker] == "female"]
    men = [speaker for speaker in drawn if gender_of[speaker] == "male"]
    if women and men and len(drawn) - 2 >= MIN_TRAIN_SPEAKERS:
        return {women[0], men[0]}
    return {drawn[0]}


def _draw(seed: int, fold: str, speaker: str) -> bytes:
    return hashlib.sha256(f"{seed}\n{fold}\n{speaker}".encode()).digest()


def without_speakers(rows: Iterable[Row], speakers: Iterable[str]) -> list[Row]:
    """Returns the rows of all other speakers."""
    left_out = set(speakers)
    return [row for row in rows if row.speaker not in left_out]


def of_speakers(rows: Iterable[Row], speakers: Iterable[str]) -> list[Row]:
    """Returns the rows of these speakers."""
    chosen = set(speakers)
    return [row for row in rows if row.speaker in chosen]


def stratified_parts(
    rows: Iterable[Row], classes: Sequence[str], parts: int, seed: Sequence[int]
) -> list[list[Row]]:
    """Returns the rows dealt to `parts` parts, each with its share of every class.

    Rows are sorted by key and shuffled within their class; the classes are dealt one after the
    other without starting again at the first part, so that sizes differ by one at most.

    Args:
        rows: what to deal.
        classes: the class of each row.
        parts: number of parts.
        seed: the seeds of a private generator.
    """
    of_class: dict[str, list[Row]] = defaultdict(list)
    for row, name in zip(rows, classes, strict=True):
        of_class[name].append(row)
    rng = np.random.default_rng(list(seed))
    dealt: list[list[Row]] = [[] for _ in range(parts)]
    dealt_rows = 0
    for name in sorted(of_class):
        group = sorted(of_class[name], key=lambda row: row.key)
        for index in rng.permutation(len(group)):
            dealt[dealt_rows % parts].append(group[index])
            dealt_rows += 1
    return dealt


def folder_names(names: Iterable[str]) -> dict[str, str]:
    """Returns a name for a folder for each of the names.

    Letters of every script are kept. The names are also unique where a file system ignores letter
    case, or writes letters with accents in its own way.

    Example:
        >>> folder_names(["Ann", "../x", "ann", "王芳", "José M."])
        {'../x': 'x', 'Ann': 'Ann', 'José M.': 'José-M', 'ann': 'ann-2', '王芳': '王芳'}
    """
    result: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(set(names)):
        plain = _plain(name)
        unique, count = plain, 1
        while (written := unicodedata.normalize("NFKD", unique).casefold()) in taken:
            count += 1
            unique = f"{plain}-{count}"
        taken.add(written)
        result[name] = unique
    return result


def _plain(name: str) -> str:
    """Returns the letters and digits of a name, with hyphens for what stands between them."""
    characters = (
        c if c == "_" or unicodedata.category(c)[0] in "LNM" else "-"
        for c in unicodedata.normalize("NFC", name)
    )
    plain = re.sub("-+", "-", "".join(characters)).strip("-")[:_MAX_LETTERS]
    # A name of signs alone, such as a smiley, is written as their numbers.
    signs = "-".join(f"u{ord(sign):x}" for sign in name.strip())[:_MAX_LETTERS]
    return plain.encode()[:_MAX_BYTES].decode(errors="ignore") or signs or "x"
