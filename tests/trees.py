"""Corpora in miniature and in full size, with the right names and next to no audio.

Every builder makes one folder and returns it. Recordings are 0.1 s of noise. By default all are
hard links to one file, which builds ten thousand in a second; `distinct=True` writes each with
noise of its own, for tests that decode or compare audio.
"""

import itertools
import json
import os
import wave
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ser_keras.corpora.catalogue import DEFINITIONS

CODES = {"angry": "ang", "happy": "hap", "excited": "exc", "neutral": "neu", "sad": "sad"}
# All turns of a session, and those of the five labels: ang hap exc neu sad.
IEMOCAP_SESSIONS = {
    1: (1819, (229, 135, 143, 384, 194)),
    2: (1811, (137, 117, 210, 362, 197)),
    3: (2136, (240, 135, 151, 320, 305)),
    4: (2103, (327, 65, 238, 258, 143)),
    5: (2170, (170, 143, 299, 384, 245)),
}
# Improvised turns without excited, of the woman and of the man.
IEMOCAP_IMPROVISED = {1: (217, 205), 2: (185, 208), 3: (264, 274), 4: (149, 221), 5: (298, 259)}


class Recordings:
    """Puts recordings into one tree."""

    def __init__(self, root: Path, distinct: bool):
        self.distinct = distinct
        self._source: Path | None = None
        root.mkdir(parents=True, exist_ok=True)

    def put(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.distinct or self._source is None:
            write_noise(path, seed=zlib.crc32(path.name.encode()))
            self._source = path
        else:
            os.link(self._source, path)
        return path


def write_noise(
    path: Path, *, seed: int = 0, seconds: float = 0.1, sample_rate_hz: int = 16000
) -> Path:
    """Writes a WAV of noise, with the standard library alone."""
    noise = np.random.default_rng(seed).normal(0, 3000, int(seconds * sample_rate_hz))
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate_hz)
        file.writeframes(noise.clip(-32768, 32767).astype("<i2").tobytes())
    return path


def ravdess(root: Path, *, actors: Iterable[int] = range(1, 25), distinct: bool = False) -> Path:
    """Builds `Actor_NN/` with the 60 recordings of each actor."""
    recordings = Recordings(root, distinct)
    for actor in actors:
        for emotion, intensity, statement, repetition in itertools.product(
            range(1, 9), (1, 2), (1, 2), (1, 2)
        ):
            if (emotion, intensity) == (1, 2):
                continue
            fields = (3, 1, emotion, intensity, statement, repetition, actor)
            stem = "-".join(f"{field:02}" for field in fields)
            recordings.put(root / f"Actor_{actor:02}" / f"{stem}.wav")
    return root


def emodb_names() -> list[str]:
    """Returns the 535 original file names."""
    return sorted(json.loads((DEFINITIONS / "emodb_sha256.json").read_text()))


def emodb(root: Path, *, names: Sequence[str] | None = None, distinct: bool = False) -> Path:
    """Builds `wav/` with the 535 recordings, or with those of `names`."""
    recordings = Recordings(root, distinct)
    for name in emodb_names() if names is None else names:
        recordings.put(root / "wav" / name)
    return root


def casia(
    root: Path,
    *,
    speakers: Sequence[str] = ("liuchanhg", "wangzhe", "zhaoquanyin", "ZhaoZuoxiang"),
    numbers: Iterable[int] = range(201, 251),
    distinct: bool = False,
) -> Path:
    """Builds `<speaker>/<emotion>/<number>.wav`; the public subset by default."""
    recordings = Recordings(root, distinct)
    emotions = ("angry", "fear", "happy", "neutral", "sad", "surprise")
    for speaker, emotion, number in itertools.product(speakers, emotions, tuple(numbers)):
        recordings.put(root / speaker / emotion / f"{number}.wav")
    return root


NEMO_SPEAKERS = {"KS0": "male", "KD0": "female", "MP0": "male"}


def nemo(root: Path, *, sentences: Iterable[int] = range(1, 4), distinct: bool = False) -> Path:
    """Builds `samples/` with three of the nine speakers, and their `data.tsv`."""
    recordings = Recordings(root, distinct)
    emotions = ("neutral", "sadness", "anger", "happiness", "fear", "surprised")
    rows = ["file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage"]
    for speaker, emotion, number in itertools.product(NEMO_SPEAKERS, emotions, tuple(sentences)):
        name = f"{speaker}_{emotion}_{number}.wav"
        recordings.put(root / "samples" / name)
        texts = f'"Zda\u0144, {number}".\tzda\u0144'
        rows.append(f"{name}\t{emotion}\t{texts}\t        {speaker}\t{NEMO_SPEAKERS[speaker]}\t23")
    (root / "data.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def manifest(root: Path, text: str, recordings: Iterable[str] = ()) -> Path:
    """Builds a folder with `manifest.csv` and the recordings named; returns the table."""
    files = Recordings(root, distinct=True)
    for name in recordings:
        files.put(root / name)
    table = root / "manifest.csv"
    table.write_text(text, encoding="utf-8")
    return table


def iemocap(
    root: Path, turns: Mapping[str, str], *, distinct: bool = False, clutter: bool = True
) -> Path:
    """Builds an IEMOCAP tree of the given turns.

    Args:
        root: the folder to build.
        turns: label code by turn, such as `{"Ses01F_impro01_M003": "ang"}`.
        distinct: noise of its own for each recording.
        clutter: with what real copies hold besides: raters' folders and `._` files.
    """
    recordings = Recordings(root, distinct)
    dialogs: dict[str, list[str]] = {}
    for turn in turns:
        dialog = turn.rpartition("_")[0]
        dialogs.setdefault(dialog, []).append(turn)
        recordings.put(_session(root, dialog) / "sentences" / "wav" / dialog / f"{turn}.wav")
    for dialog, names in dialogs.items():
        labels = _session(root, dialog) / "dialog" / "EmoEvaluation"
        labels.mkdir(parents=True, exist_ok=True)
        lines = [_iemocap_block(turn, turns[turn], start) for start, turn in enumerate(names)]
        header = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
        (labels / f"{dialog}.txt").write_text(header + "\n".join(lines))
        if clutter:
            _clutter(labels, dialog, names[0])
            (_session(root, dialog) / "sentences" / "wav" / dialog / f"._{names[0]}.wav").touch()
    return root


def iemocap_full(root: Path) -> Path:
    """Builds all 10039 turns, with the published number of every session, label and style."""
    return iemocap(root, iemocap_turns())


def iemocap_turns() -> dict[str, str]:
    """Returns turns of the published numbers; who says what in which dialog is made up."""
    turns: dict[str, str] = {}
    for session, (total, counts) in IEMOCAP_SESSIONS.items():
        pool = dict(zip(CODES.values(), counts, strict=True))
        excited = pool.pop("exc")
        improvised = _draw(pool, sum(IEMOCAP_IMPROVISED[session]))
        women, _ = IEMOCAP_IMPROVISED[session]
        spoken = [("impro", "F" if i < women else "M", c) for i, c in enumerate(improvised)]
        spoken += [(("impro", "script")[i % 2], "FM"[i // 2 % 2], "exc") for i in range(excited)]
        rest = _draw(pool, sum(pool.values()))
        spoken += [("script", "FM"[i % 2], code) for i, code in enumerate(rest)]
        others = itertools.cycle(("xxx", "fru", "fru", "sur", "xxx", "fea", "oth", "dis"))
        missing = total - len(spoken)
        spoken += [
            (("impro", "script")[i % 2], "FM"[i // 2 % 2], next(others)) for i in range(missing)
        ]
        turns |= _numbered(session, spoken)
    return turns


def _session(root: Path, dialog: str) -> Path:
    return root / f"Session{int(dialog.removeprefix('Ses')[:2])}"


def _iemocap_block(turn: str, code: str, start: int) -> str:
    return (
        f"[{start}.0000 - {start}.9000]\t{turn}\t{code}\t[2.5000, 2.5000, 2.5000]\n"
        "C-E2:\tAnger;\t()\nC-E4:\tNeutral; Anger;\t(tired)\n"
        "A-E3:\tval 3; act 2; dom  2;\t()\n"
    )


def _clutter(labels: Path, dialog: str, turn: str) -> None:
    (labels / f"._{dialog}.txt").write_bytes(b"\x00\x05\x16\x07\n[0.0 - 1.0]\tMac OS X\xff\n")
    for folder, end in (
        ("Attribute", "e2_atr"),
        ("Categorical", "e2_cat"),
        ("Self-evaluation", "f"),
    ):
        (labels / folder).mkdir(exist_ok=True)
        text = f"[0.0000 - 0.9000]\t{turn}\tsad\t[1.0, 1.0, 1.0]\n"
        (labels / folder / f"{dialog}_{end}.txt").write_text(text)


def _draw(pool: dict[str, int], number: int) -> list[str]:
    """Takes `number` labels out of the pool, always from the fullest."""
    drawn = []
    for _ in range(number):
        code = max(pool, key=lambda name: pool[name])
        pool[code] -= 1
        drawn.append(code)
    return drawn


def _numbered(session: int, spoken: Sequence[tuple[str, str, str]]) -> dict[str, str]:
    dialogs = {
        "impro": ("F_impro01", "M_impro04", "F_impro05a", "M_impro05b", "F_impro08"),
        "script": ("M_script01_1", "F_script01_3", "M_script01_1b", "F_script03_2", "M_script02_2"),
    }
    counters: dict[str, int] = {}
    turns = {}
    for index, (style, letter, code) in enumerate(spoken):
        dialog = f"Ses{session:02}{dialogs[style][index % 5]}"
        number = counters.setdefault(dialog + letter, 0)
        counters[dialog + letter] += 1
        turns[f"{dialog}_{letter}{number:03}"] = code
    return turns
