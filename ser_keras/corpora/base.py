"""What every corpus reader shares: the utterance, the corpus facts, the check for completeness."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ser_keras.errors import CorpusError

AUDIO_SUFFIXES = (".wav", ".flac")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording and what is known of it. Knows a file, never its features.

    Args:
        key: str. Unique over all corpora: `"<corpus>/<file stem>"`.
        path: Path. The audio file.
        label: str. The corpus's own emotion, in the words of `ser_keras.labels.EMOTIONS`.
        speaker: str. Unique within the corpus.
        corpus: str. Name of the corpus.
        session: str. Recording session, `""` where the corpus has none.
        sentence: str. Identifies the spoken text, `""` where unknown.
        gender: str. `"female"`, `"male"` or `""`.
        style: str. `"improvised"`, `"scripted"`, `"acted"` or `""`.
        split: str. The split a user's manifest asks for: `"train"`, `"valid"`, `"test"` or `""`.
    """

    key: str
    path: Path
    label: str
    speaker: str
    corpus: str
    session: str = ""
    sentence: str = ""
    gender: str = ""
    style: str = ""
    split: str = ""


@dataclass(frozen=True)
class CorpusInfo:
    """Published facts of a corpus, against which a copy on disk is checked.

    Args:
        name: str. Name on the command line.
        title: str. Full name.
        utterances: int or None. Published number of utterances; None where the user decides.
        labels: mapping of label to published count; None where only the label is published.
        speakers: mapping of speaker to published count; None where only the name is published.
            Empty where not even the names are.
        class_sets: tuple of str. Names in `ser_keras.labels.CLASS_SETS`, the default first.
        licence: str. Licence or terms.
        citation: str. Authors, year, venue.
        home: str. Address of the corpus's home page.
        access: str. What a person does to get it, in one sentence.
        sessions: mapping of session to published count; empty where the corpus has no sessions.
        languages: tuple of str. What is spoken.
        short_licence: str. The licence in a few letters; the licence itself where empty.
        number_of_speakers: int or None. Where the names are not published.
        protocols: tuple of str. Ends of the names of its general protocols, such as `"loso"`.
        speaker_dependent: str. Why no protocol can test new speakers, as a sentence; empty where
            one can.
        sources: mapping of `"layout"`, `"counts"` and the like to what it was taken from.
        remarks: tuple of str. What a user has to know, as sentences.
        example: str. The name of a recording.
    """

    name: str
    title: str
    utterances: int | None
    labels: Mapping[str, int | None]
    speakers: Mapping[str, int | None]
    class_sets: tuple[str, ...]
    licence: str
    citation: str
    home: str
    access: str
    sessions: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    languages: tuple[str, ...] = ()
    short_licence: str = ""
    number_of_speakers: int | None = None
    protocols: tuple[str, ...] = ()
    speaker_dependent: str = ""
    sources: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    remarks: tuple[str, ...] = ()
    example: str = ""

    @property
    def num_speakers(self) -> int | None:
        """How many people speak; None where the user decides."""
        return len(self.speakers) or self.number_of_speakers


@dataclass(frozen=True)
class Corpus:
    """A corpus: its facts, its two functions, and its definition where a YAML file has one."""

    info: CorpusInfo
    parse_stem: Callable[[str], Mapping[str, str]]
    read: Callable[..., list[Utterance]] = field(repr=False)
    definition: Any = field(default=None, repr=False)


def require_folder(root: Path, info: CorpusInfo) -> None:
    """Raises CorpusError where `root` is not a folder, saying how to get the corpus."""
    if not root.is_dir():
        raise CorpusError(
            f"{info.title}: found no folder at {root}, expected the corpus there. {info.access}"
        )


def audio_files(folder: Path) -> list[Path]:
    """Returns the audio files below `folder`, sorted, without macOS `._` companions.

    A link counts as what it points to, so that a dangling one is met (and reported) by the decoder.
    """
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith("._")
    )


def unique_keys(utterances: Sequence[Utterance]) -> list[Utterance]:
    """Returns the utterances with `#2`, `#3`, ... on the keys of further copies of one stem."""
    seen: Counter[str] = Counter()
    result = []
    for utterance in utterances:
        seen[utterance.key] += 1
        copy = seen[utterance.key]
        result.append(replace(utterance, key=f"{utterance.key}#{copy}") if copy > 1 else utterance)
    return result


def check_complete(
    utterances: Sequence[Utterance], info: CorpusInfo, root: Path, *, allow_partial: bool
) -> None:
    """Refuses a copy that is empty, partial or doubled.

    Args:
        utterances: what the reader found.
        info: the published counts.
        root: where the reader looked; named in the error.
        allow_partial: accept any non-empty copy.

    Where the counts of a corpus are not published, a warning says that nothing was checked.

    Raises:
        CorpusError: names the total, the first few labels, sessions and speakers whose counts
            differ, and what to do.
    """
    if not utterances:
        raise CorpusError(
            f"{info.title} at {root}: found no utterances, expected {info.utterances or 'some'}. "
            f"{info.access}"
        )
    if not allow_partial and info.utterances is None and info.labels:
        _log.warning(
            "%s at %s: found %d utterances. The published counts are not known, so a part of the "
            "corpus cannot be told from the whole.",
            info.title,
            root,
            len(utterances),
        )
    if allow_partial or info.utterances is None:
        return
    sessions = [utterance.session for utterance in utterances]
    wrong = [
        *_differences("label", info.labels, (u.label for u in utterances)),
        *(_differences("session", info.sessions, sessions) if info.sessions else ()),
        *_speaker_differences(info, [u.speaker for u in utterances]),
    ]
    if len(utterances) == info.utterances and not wrong:
        return
    copies = len(utterances) - len({u.key.partition("#")[0] for u in utterances})
    doubled = (
        f" {copies} recordings are there more than once; remove the second copy." if copies else ""
    )
    more = f"; and {len(wrong) - 4} more" if len(wrong) > 4 else ""
    raise CorpusError(
        f"{info.title} at {root}: found {len(utterances)} of {info.utterances} utterances; "
        f"{'; '.join(wrong[:4])}{more}.{doubled} Get the whole corpus again ({info.home}), or pass "
        "--allow-partial."
    )


def match_name(
    pattern: re.Pattern[str], stem: str, *, example: str, info: CorpusInfo, cure: str
) -> re.Match[str]:
    """Returns the fields of a recording's name.

    Args:
        pattern: matches whole names.
        stem: str. The name without its suffix.
        example: str. A name of the corpus, for the error.
        info: the corpus.
        cure: str. What to do instead of removing the file, for the error.

    Raises:
        CorpusError: the name does not match.
    """
    match = pattern.fullmatch(stem)
    if match is None:
        raise CorpusError(
            f"{info.title}: found the file {stem!r}, expected a name such as {example}. Remove "
            f"the file, or {cure}."
        )
    return match


def look_up(table: Mapping[str, str], code: str, *, kind: str, stem: str, info: CorpusInfo) -> str:
    """Returns what one field of a file name means.

    Raises:
        CorpusError: the table has no such code; names the file, the field and the known codes.
    """
    if code not in table:
        raise CorpusError(
            f"{info.title}: file {stem!r} has {kind} {code!r}, expected one of "
            f"{', '.join(sorted(table))}. Remove or rename the file."
        )
    return table[code]


def _speaker_differences(info: CorpusInfo, speakers: Sequence[str]) -> list[str]:
    if info.speakers:
        return _differences("speaker", info.speakers, speakers)
    number = len(set(speakers))
    if info.number_of_speakers in (None, number):
        return []
    return [f"it has {number} speakers, expected {info.number_of_speakers}"]


def _differences(kind: str, expected: Mapping[str, int | None], names: Iterable[str]) -> list[str]:
    counts = Counter(names)
    return [
        f"{kind} {name} has {counts[name]}, expected {expected.get(name, 0)}"
        for name in sorted(set(expected) | set(counts))
        if expected.get(name, 0) not in (counts[name], None)
    ]
