"""A synthesised corpus: several voices, each in four tones of voice.

Where: `write_corpus` makes it. It holds no person's voice and needs no licence. It is for trying
everything out, and for tests; scores on it say nothing about people.

Tree: one folder per speaker, and a marker that says with which parameters it was made::

    s01/s01_angry_00.wav
    .completed

Name: speaker, label, number. Odd speakers are women. Number n says sentence n modulo 5, the same
string of vowels for everybody.

Counts: speakers x 4 labels x `utterances_per_class`; a tree with fewer is refused.

Voices and tones are those of `ser_keras.corpora.voice`.
"""

import json
import os
import re
import shutil
import uuid
from pathlib import Path

import numpy as np
from rich.progress import track

from ser_keras.audio import write_wav
from ser_keras.corpora.base import (
    CorpusInfo,
    Utterance,
    audio_files,
    check_complete,
    look_up,
    match_name,
    require_folder,
)
from ser_keras.corpora.voice import TONES, person, speak
from ser_keras.errors import ConfigError, CorpusError
from ser_keras.files import parse_json

_LABELS = {label: label for label in TONES}
_SENTENCES = ("aeoi", "ueai", "oauei", "iaoeu", "euaio")
_NAME = re.compile(r"(?P<speaker>s(?P<person>\d+))_(?P<label>[a-z]+)_(?P<number>\d+)", re.ASCII)
_MARKER = ".completed"
_VERSION = 1

INFO = CorpusInfo(
    name="synthetic",
    title="Synthetic corpus",
    utterances=None,
    labels={},
    speakers={},
    class_sets=("synthetic4",),
    licence="none; computed",
    citation="",
    home="",
    access="It is made by `ser demo`, or by ser_keras.corpora.synthetic.write_corpus(folder).",
)


def parse_stem(stem: str) -> dict[str, str]:
    """Returns speaker, label, sentence and gender of one recording's name.

    Raises:
        CorpusError: the name does not follow the corpus.

    Example:
        >>> parse_stem("s02_sad_07")
        {'speaker': 's02', 'label': 'sad', 'sentence': '2', 'gender': 'male'}
    """
    match = match_name(_NAME, stem, example="s01_angry_00", info=INFO, cure="make the corpus again")
    speaker, label, number = match.group("speaker", "label", "number")
    return {
        "speaker": speaker,
        "label": look_up(_LABELS, label, kind="label", stem=stem, info=INFO),
        "sentence": str(int(number) % len(_SENTENCES)),
        "gender": "female" if int(match["person"]) % 2 else "male",
    }


def read(root: str | Path, *, allow_partial: bool = False) -> list[Utterance]:
    """Returns the recordings below `root`, sorted by path.

    Args:
        root: a folder `write_corpus` made.
        allow_partial: accept fewer files than were made, or a folder without the marker.

    Raises:
        CorpusError: no such folder, a file with another name, no marker, or files missing.
    """
    root = Path(root)
    require_folder(root, INFO)
    utterances = [
        Utterance(
            f"synthetic/{path.stem}",
            path,
            corpus="synthetic",
            style="acted",
            **parse_stem(path.stem),
        )
        for path in audio_files(root)
    ]
    check_complete(utterances, INFO, root, allow_partial=allow_partial)
    parameters = _parameters_of(root)
    expected = None
    if parameters:
        per_class = parameters["num_speakers"] * parameters["utterances_per_class"]
        expected = per_class * len(TONES)
    if len(utterances) != expected and not allow_partial:
        raise CorpusError(
            f"{INFO.title} at {root}: found {len(utterances)} recordings, expected "
            f"{expected or f'a {_MARKER} marker that says how many'}. Delete the folder and make "
            "it again, or pass --allow-partial."
        )
    return utterances


def write_corpus(
    root: str | Path,
    *,
    num_speakers: int = 6,
    utterances_per_class: int = 10,
    seed: int = 0,
    progress: bool = False,
) -> Path:
    """Makes the corpus, or finds that it is there already; a folder is never half made.

    Args:
        root: the folder to make; its parent need not exist.
        num_speakers: 1 to 99; odd ones are women.
        utterances_per_class: recordings of each speaker and label, 1 to 99.
        seed: another seed gives other voices.
        progress: show a bar.

    Returns:
        `root`.

    Raises:
        ConfigError: numbers out of range.
        CorpusError: `root` holds something else already.
    """
    root = Path(root)
    if not (1 <= num_speakers <= 99 and 1 <= utterances_per_class <= 99):
        raise ConfigError(
            f"{INFO.title}: found num_speakers={num_speakers} and "
            f"utterances_per_class={utterances_per_class}, expected 1 to 99 of each."
        )
    parameters = {
        "version": _VERSION,
        "num_speakers": num_speakers,
        "utterances_per_class": utterances_per_class,
        "seed": seed,
    }
    if root.exists() and _parameters_of(root) == parameters:
        return root
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise CorpusError(
            f"{INFO.title}: {root} holds {_parameters_of(root) or 'other files'} already, expected "
            f"nothing there or {parameters}. Give another folder, or delete this one."
        )
    root.parent.mkdir(parents=True, exist_ok=True)
    attempt = root.parent / f".{root.name}.{uuid.uuid4().hex}"
    try:
        numbers = range(1, num_speakers + 1)
        for number in track(numbers, "Synthesising speakers", disable=not progress):
            _write_speaker(attempt, number, utterances_per_class, seed)
        (attempt / _MARKER).write_text(json.dumps(parameters), encoding="utf-8")
        os.rename(attempt, root)
    except BaseException:
        shutil.rmtree(attempt, ignore_errors=True)
        raise
    return root


def _write_speaker(folder: Path, number: int, utterances_per_class: int, seed: int) -> None:
    voice = person(number, seed)
    speaker = folder / f"s{number:02}"
    speaker.mkdir(parents=True)
    for unit, (label, tone) in enumerate(TONES.items()):
        for index in range(utterances_per_class):
            rng = np.random.default_rng([seed, number, unit, index])
            vowels = _SENTENCES[index % len(_SENTENCES)]
            path = speaker / f"{speaker.name}_{label}_{index:02}.wav"
            write_wav(path, speak(vowels, voice, tone.vary(rng), rng))


def _parameters_of(root: Path) -> dict[str, int] | None:
    try:
        parameters = parse_json((root / _MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    current = isinstance(parameters, dict) and parameters.get("version") == _VERSION
    return parameters if current else None
