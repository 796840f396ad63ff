"""Writes the recordings that the ready model is trained on, and their tables.

    python benchmarks/ready_model/corpus.py DATA OUTPUT

DATA holds emodb/, ravdess/ and nemo/. OUTPUT gets each recording of the four classes that they
share, as it is and once in every degradation, and two tables for `ser features --corpus manifest`,
which differ in what a session is: in `by-corpus.csv` a corpus, in `by-speaker.csv` one of five
groups of speakers. A voice over a telephone counts as a speaker of its own, since what is
normalised by speaker is what a microphone hears of a voice. What exists is not written again.
"""

import argparse
import csv
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.progress import track

from ser_keras.audio import read_audio, write_wav
from ser_keras.corpora import get_corpus
from ser_keras.corpora.base import Utterance
from ser_keras.degradation import DEGRADATIONS, degrade
from ser_keras.files import write_text

CORPORA = ("emodb", "ravdess", "nemo")
CLASSES = ("angry", "happy", "neutral", "sad")
CLEAN = "clean"
GROUPS = 5
COLUMNS = ("path", "label", "speaker", "session", "gender")


def write_corpus(data: Path, output: Path) -> None:
    """Writes the recordings and the tables."""
    utterances = [utterance for name in CORPORA for utterance in _utterances(name, data / name)]
    group_of = _groups(utterances)
    by_corpus, by_speaker = [], []
    for utterance in track(utterances, description="degrading"):
        waveform = None
        for condition in (CLEAN, *DEGRADATIONS):
            path = output / condition / f"{utterance.key}.wav"
            if not path.is_file():
                waveform = read_audio(utterance.path) if waveform is None else waveform
                path.parent.mkdir(parents=True, exist_ok=True)
                write_wav(path, _in_condition(condition, utterance.key, waveform))
            person = f"{utterance.corpus}-{utterance.speaker}"
            row = [path.relative_to(output), utterance.label, f"{person}-{condition}"]
            by_corpus.append([*row, utterance.corpus, utterance.gender])
            by_speaker.append([*row, group_of[person], utterance.gender])
    for name, rows in (("by-corpus", by_corpus), ("by-speaker", by_speaker)):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
        write_text(output / f"{name}.csv", text.getvalue())


def _utterances(name: str, folder: Path) -> Iterator[Utterance]:
    for utterance in get_corpus(name).read(folder, allow_partial=True):
        if utterance.label in CLASSES:
            yield utterance


def _in_condition(condition: str, key: str, waveform: np.ndarray) -> np.ndarray:
    if condition == CLEAN:
        return waveform
    seed = zlib.crc32(f"{condition}\n{key}".encode())
    return degrade(condition, waveform, np.random.default_rng(seed))


def _groups(utterances: list[Utterance]) -> dict[str, str]:
    """Returns a group for each speaker; women and men of a corpus are dealt one after the other."""
    people = sorted({(u.corpus, u.gender, f"{u.corpus}-{u.speaker}") for u in utterances})
    return {person: f"group{n % GROUPS + 1}" for n, (_, _, person) in enumerate(people)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder with emodb/, ravdess/ and nemo/")
    parser.add_argument("output", type=Path, help="folder for the recordings and their tables")
    write_corpus(**vars(parser.parse_args()))
