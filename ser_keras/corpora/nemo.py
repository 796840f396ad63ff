"""nEMO: nine actors say ninety sentences in six emotions, in Polish.

Where: https://github.com/amu-cai/nEMO. Licence CC BY-NC-SA 4.0.

Tree: a table beside the folder of the recordings, WAV or FLAC::

    data.tsv
    samples/KS0_anger_13.wav

Name: speaker, emotion and number of the sentence. The table repeats them, with the gender of the
speaker, and adds the text; it is tab-separated without quotes and names WAV files.

Counts: 4481 of 4860; neutral 809, sadness 769, anger 749, happiness 749, fear 736, surprised 669.
Speakers KS0 KD0 IC0 540, WR0 EB0 TP0 539, SM0 538, MK0 450, MP0 256: not everyone says every
sentence in every emotion.

Traps: the table pads the names of speakers with blanks. All speakers say the same sentences, so a
random split leaks text as well as speakers.
"""

import re
from pathlib import Path

from ser_keras.corpora.base import (
    CorpusInfo,
    Utterance,
    audio_files,
    check_complete,
    look_up,
    match_name,
    require_folder,
    unique_keys,
)
from ser_keras.corpora.csv_table import read_rows
from ser_keras.errors import CorpusError

_EMOTIONS = {
    "neutral": "neutral",
    "sadness": "sad",
    "anger": "angry",
    "happiness": "happy",
    "fear": "fearful",
    "surprised": "surprised",
}
_GENDERS = {
    "KS0": "male",
    "KD0": "female",
    "IC0": "female",
    "WR0": "male",
    "EB0": "female",
    "TP0": "male",
    "SM0": "male",
    "MK0": "female",
    "MP0": "male",
}
_SENTENCES = {str(number): str(number) for number in range(1, 91)}
_NAME = re.compile(r"(?P<speaker>[A-Z0-9]+)_(?P<emotion>[a-z]+)_(?P<sentence>[0-9]+)")
_TABLE = "data.tsv"
_COLUMNS = ("file_id", "emotion", "speaker_id", "gender")

INFO = CorpusInfo(
    name="nemo",
    title="nEMO",
    utterances=4481,
    labels=dict(zip(_EMOTIONS.values(), (809, 769, 749, 749, 736, 669), strict=True)),
    speakers=dict(zip(_GENDERS, (540, 540, 540, 539, 539, 539, 538, 450, 256), strict=True)),
    class_sets=("nemo6",),
    licence="CC BY-NC-SA 4.0",
    citation="Christop (2024), LREC-COLING",
    home="https://github.com/amu-cai/nEMO",
    access="Get it from https://github.com/amu-cai/nEMO, and give the folder that holds samples "
    "and data.tsv.",
)


def parse_stem(stem: str) -> dict[str, str]:
    """Returns speaker, label, sentence and gender of one recording's name.

    Raises:
        CorpusError: the name does not follow the corpus.

    Example:
        >>> parse_stem("KS0_anger_13")["label"]
        'angry'
    """
    match = match_name(_NAME, stem, example="KS0_anger_13", info=INFO, cure="get the corpus again")
    speaker, emotion, sentence = match.group("speaker", "emotion", "sentence")
    return {
        "speaker": speaker,
        "label": look_up(_EMOTIONS, emotion, kind="emotion", stem=stem, info=INFO),
        "sentence": look_up(_SENTENCES, sentence, kind="sentence", stem=stem, info=INFO),
        "gender": look_up(_GENDERS, speaker, kind="speaker", stem=stem, info=INFO),
    }


def read(root: str | Path, *, allow_partial: bool = False) -> list[Utterance]:
    """Returns the recordings below `root`, sorted by path.

    Args:
        root: the folder of the corpus, or its `samples` folder. Where `data.tsv` is in the former,
            it must agree with the names of the recordings.
        allow_partial: accept a part of the corpus, and recordings without a row in `data.tsv`.

    Raises:
        CorpusError: no such folder, a file with another name, a table that disagrees with the
            names, or counts other than the published ones.
    """
    root = Path(root)
    require_folder(root, INFO)
    recordings = []
    for path in audio_files(root):
        name = parse_stem(path.stem)
        recordings.append(
            Utterance(f"nemo/{path.stem}", path, corpus="nemo", style="acted", **name)
        )
    table = (root.parent if root.name == "samples" else root) / _TABLE
    if table.is_file():
        _check_table(table, recordings, allow_partial=allow_partial)
    utterances = unique_keys(recordings)
    check_complete(utterances, INFO, root, allow_partial=allow_partial)
    return utterances


def _check_table(table: Path, recordings: list[Utterance], *, allow_partial: bool) -> None:
    """Raises CorpusError where a row contradicts a name, or a recording has no row."""
    stems = set()
    limit = INFO.utterances or 0
    for where, row in read_rows(table, required=_COLUMNS, optional=(), max_rows=limit):
        stem = Path(row["file_id"]).stem
        name = parse_stem(stem)
        stems.add(stem)
        label = look_up(_EMOTIONS, row["emotion"], kind="emotion", stem=stem, info=INFO)
        of_row = {"speaker": row["speaker_id"], "label": label, "gender": row["gender"]}
        for key, value in of_row.items():
            if value != name[key]:
                raise CorpusError(
                    f"{where}: found {key} {value!r} of {stem}, expected {name[key]!r} as its name "
                    "says. Get the corpus again."
                )
    without = [recording.path.name for recording in recordings if recording.path.stem not in stems]
    if without and not allow_partial:
        raise CorpusError(
            f"{table}: found no row of {len(without)} recordings, such as {without[0]}. Get the "
            "corpus again, or pass --allow-partial."
        )
