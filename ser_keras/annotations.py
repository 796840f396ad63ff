"""Words and phones of a recording: Praat's TextGrids and NIST's CTM files.

A TextGrid is text in a long and a short format. Praat reads both by one rule, which holds here too:
only quoted strings, numbers and `<flags>` that stand by themselves count, the rest explains them,
and `!` begins a comment. A CTM has a line for each word or phone: recording, channel, start,
duration, token, and maybe a confidence; `;;` begins a comment.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ser_keras.errors import ConfigError, unknown_name

# Times in files are rounded, often to milliseconds.
SLACK_S = 1e-3
BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
_TOKEN = re.compile(r'"(?:[^"]|"")*"|![^\n]*|[^\s"]+|"')
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Interval:
    """A stretch of a recording with its label.

    Args:
        start_s: float. Seconds from the start of the recording.
        end_s: float.
        text: str. A word or phone; empty where nothing was said.
    """

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class Tier:
    """One row of labels: intervals in the order of time that do not overlap.

    Args:
        name: str. Such as "words".
        intervals: tuple of Interval.
    """

    name: str
    intervals: tuple[Interval, ...]

    @property
    def labelled(self) -> tuple[Interval, ...]:
        """The intervals that have a label."""
        return tuple(interval for interval in self.intervals if interval.text)


def read_tiers(path: Path, recording: str) -> tuple[list[Tier], list[str]]:
    """Returns the interval tiers of a TextGrid or CTM file.

    Args:
        path: Path. `.TextGrid`, in UTF-8 or UTF-16, long or short; or `.ctm`.
        recording: str. The name that the recording has in a CTM of several.

    Returns:
        tiers, in the file's order; and the names of its point tiers, which are left out.

    Raises:
        ConfigError: no such file, another format, or a line that does not fit; says which line,
            what was found and what was expected.
    """
    suffix = path.suffix.lower()
    if suffix not in (".textgrid", ".ctm"):
        raise ConfigError(
            f"--tiers {path}: found a file name that ends with {suffix or 'nothing'}, expected "
            ".TextGrid (Praat) or .ctm (NIST)."
        )
    text = _decoded(path)
    if suffix == ".ctm":
        return _read_ctm(path, text, recording), []
    return _TextGrid(path, text).read()


def cropped(tiers: Iterable[Tier], start_s: float, end_s: float) -> list[Tier]:
    """Returns the tiers between two times; intervals that reach out are cut there.

    Example:
        >>> tier = Tier("words", (Interval(0.0, 1.0, "yeah"), Interval(1.0, 2.0, "no")))
        >>> cropped([tier], 0.5, 1.0)[0].intervals
        (Interval(start_s=0.5, end_s=1.0, text='yeah'),)
    """
    return [
        Tier(
            tier.name,
            tuple(
                Interval(max(label.start_s, start_s), min(label.end_s, end_s), label.text)
                for label in tier.intervals
                if label.start_s < end_s and label.end_s > start_s
            ),
        )
        for tier in tiers
    ]


def _decoded(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"--tiers {path}: cannot be read ({error.strerror}). Give a .TextGrid or .ctm file."
        ) from None
    marks = [name for mark, name in BYTE_ORDER_MARKS.items() if data.startswith(mark)]
    encoding = marks[0] if marks else "utf-8"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = 1 + data[: error.start].count(b"\n")
        raise ConfigError(
            f"--tiers {path}, line {line}: found bytes that are not {encoding}, expected UTF-8, or "
            "UTF-16 with a byte order mark. In Praat, set the text writing preference to UTF-8 and "
            "save it again as a text file."
        ) from None


def _checked(tier: Tier, path: Path, lines: Iterable[int]) -> Tier:
    """Returns the tier whose intervals begin on these lines if they are in order."""
    last = -SLACK_S
    for interval, line in zip(tier.intervals, lines, strict=True):
        where = f"--tiers {path}, line {line}: tier {tier.name!r}: found"
        if interval.end_s < interval.start_s:
            raise ConfigError(
                f"{where} an interval from {interval.start_s:g} to {interval.end_s:g} s, expected "
                "an end that is not before the start."
            )
        if interval.start_s < last - SLACK_S:
            raise ConfigError(
                f"{where} a start at {interval.start_s:g} s, expected {max(last, 0):g} s or later, "
                "where the interval before it ends."
            )
        last = interval.end_s
    return tier


# === CTM ===


def _read_ctm(path: Path, text: str, recording: str) -> list[Tier]:
    """Returns a tier for each channel of a recording, called as the file is."""
    recordings: dict[str, dict[str, list[tuple[Interval, int]]]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.partition(";;")[0].split()
        if not fields:
            continue
        if len(fields) < 5 or not all(map(_NUMBER.fullmatch, fields[2:4])):
            raise ConfigError(
                f"--tiers {path}, line {number}: found {line.strip()!r}, expected a recording, a "
                "channel, start and duration in seconds, and a token."
            )
        start, duration = map(float, fields[2:4])
        interval = Interval(start, round(start + duration, 6), fields[4])
        recordings.setdefault(fields[0], {}).setdefault(fields[1], []).append((interval, number))
    if not recordings:
        raise ConfigError(f"--tiers {path}: found no line with a token, expected one at least.")
    if len(recordings) > 1 and recording not in recordings:
        raise ConfigError(f"--tiers {path}: {unknown_name('recording', recording, recordings)}")
    channels = recordings.get(recording) or next(iter(recordings.values()))
    tiers = []
    for channel, rows in channels.items():
        rows.sort(key=lambda row: row[0].start_s)
        intervals, lines = zip(*rows, strict=True)
        name = path.stem if len(channels) == 1 else f"{path.stem}, channel {channel}"
        tiers.append(_checked(Tier(name, intervals), path, lines))
    return tiers


# === TextGrid ===


class _TextGrid:
    """Reads a TextGrid's values one after the other, and knows on which line each is."""

    def __init__(self, path: Path, text: str):
        self.path, self.text = path, text
        self._tokens = list(_TOKEN.finditer(text))
        self._next, self._line, self._counted = 0, 1, 0

    def read(self) -> tuple[list[Tier], list[str]]:
        """Returns interval tiers, and the names of point tiers."""
        kind = self._string("the file type 'ooTextFile'")
        if not kind.startswith("ooTextFile"):
            raise self._error(repr(kind), "the file type 'ooTextFile'")
        if (kind := self._string("the object class 'TextGrid'")) != "TextGrid":
            raise self._error(repr(kind), "the object class 'TextGrid'")
        self._number("the start in seconds")
        self._number("the end in seconds")
        if (flag := self._value("<exists>")) != "<exists>":
            raise self._error(flag, "<exists>, for a TextGrid with tiers")
        tiers, points = [], []
        for _ in range(self._count("the number of tiers")):
            kind = self._string("'IntervalTier' or 'TextTier'")
            name = self._string("the name of a tier")
            self._number("the start of the tier in seconds")
            self._number("the end of the tier in seconds")
            if kind == "IntervalTier":
                tiers.append(self._interval_tier(name))
            elif kind == "TextTier":
                points.append(name)
                for _ in range(self._count("the number of points")):
                    self._number("the time of a point in seconds")
                    self._string("the mark of a point")
            else:
                raise self._error(repr(kind), "'IntervalTier' or 'TextTier'")
        return tiers, points

    def _interval_tier(self, name: str) -> Tier:
        intervals, lines = [], []
        for _ in range(self._count("the number of intervals")):
            start = self._number("the start of an interval in seconds")
            lines.append(self._line)
            end = self._number("the end of an interval in seconds")
            label = self._string("the label of an interval")
            intervals.append(Interval(start, end, " ".join(label.split())))
        return _checked(Tier(name, tuple(intervals)), self.path, lines)

    def _value(self, expected: str) -> str:
        """Returns the next value as it is written; quotes stay."""
        while self._next < len(self._tokens):
            match = self._tokens[self._next]
            self._next += 1
            self._line += self.text.count("\n", self._counted, match.start())
            self._counted, token = match.start(), match.group()
            if token == '"':
                raise self._error("a quotation mark that is never closed", expected)
            if token.startswith(('"', "<")) or _NUMBER.fullmatch(token):
                return token
        self._line += self.text.count("\n", self._counted)
        self._counted = len(self.text)
        raise self._error("the end of the file", expected)

    def _string(self, expected: str) -> str:
        value = self._value(expected)
        if not value.startswith('"'):
            raise self._error(value, f"{expected}, in quotation marks")
        return value[1:-1].replace('""', '"')

    def _number(self, expected: str) -> float:
        value = self._value(expected)
        if not _NUMBER.fullmatch(value):
            raise self._error(value, expected)
        return float(value)

    def _count(self, expected: str) -> int:
        value = self._number(expected)
        if value < 0 or value != int(value):
            raise self._error(f"{value:g}", expected)
        return int(value)

    def _error(self, value: str, expected: str) -> ConfigError:
        return ConfigError(
            f"--tiers {self.path}, line {self._line}: found {value}, expected {expected}. In "
            "Praat, save the TextGrid as a text file or a short text file."
        )
