"""EmoDB, the Berlin Database of Emotional Speech: ten actors say ten sentences, in German.

Where: `ser download emodb`, or http://emodb.bilderbar.info/download/download.zip. Free for
research; later releases CC BY 4.0.

Tree: WAV or FLAC files anywhere below the root, in the original all in one folder::

    wav/03a01Fa.wav

Name: speaker (two digits), text (letter and two digits), emotion (a letter of its German word),
version (a letter): 03a01Fa is speaker 03, text a01, Freude, first version.

Counts: 535; W anger 127, L boredom 81, N neutral 79, F happiness 71, A fear 69, T sadness 62,
E disgust 46. Speakers 03 08 09 10 11 12 13 14 15 16: 49 58 43 38 55 35 61 69 56 71. Speaker 08 has
no disgust and speaker 09 one fear, so a test fold of one speaker may lack a class.
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

_EMOTIONS = {
    "W": "angry",
    "L": "bored",
    "N": "neutral",
    "F": "happy",
    "A": "fearful",
    "T": "sad",
    "E": "disgusted",
}
_GENDERS = {
    "03": "male",
    "08": "female",
    "09": "female",
    "10": "male",
    "11": "male",
    "12": "male",
    "13": "female",
    "14": "female",
    "15": "male",
    "16": "female",
}
_TEXTS = ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")
_NAME = re.compile(
    r"(?P<speaker>\d\d)(?P<text>[a-z]\d\d)(?P<emotion>[A-Z])(?P<version>[a-z])", re.ASCII
)

INFO = CorpusInfo(
    name="emodb",
    title="EmoDB",
    utterances=535,
    labels=dict(zip(_EMOTIONS.values(), (127, 81, 79, 71, 69, 62, 46), strict=True)),
    speakers=dict(zip(_GENDERS, (49, 58, 43, 38, 55, 35, 61, 69, 56, 71), strict=True)),
    class_sets=("emodb7", "emodb4"),
    licence="free for research; later releases CC BY 4.0",
    citation="Burkhardt et al. (2005), Interspeech, 1517-1520",
    home="http://emodb.bilderbar.info/",
    access="Get it with `ser download emodb`, or unpack "
    "http://emodb.bilderbar.info/download/download.zip, and give the folder that holds wav.",
)


def parse_stem(stem: str) -> dict[str, str]:
    """Returns speaker, sentence, label, version and gender of one recording's name.

    Raises:
        CorpusError: the name does not follow the corpus.

    Example:
        >>> parse_stem("16b10Wb")["label"]
        'angry'
    """
    match = match_name(_NAME, stem, example="03a01Fa", info=INFO, cure="get the corpus again")
    speaker, text, emotion, version = match.group("speaker", "text", "emotion", "version")
    return {
        "speaker": speaker,
        "sentence": look_up(
            dict(zip(_TEXTS, _TEXTS, strict=True)), text, kind="text", stem=stem, info=INFO
        ),
        "label": look_up(_EMOTIONS, emotion, kind="emotion", stem=stem, info=INFO),
        "version": version,
        "gender": look_up(_GENDERS, speaker, kind="speaker", stem=stem, info=INFO),
    }


def read(root: str | Path, *, allow_partial: bool = False) -> list[Utterance]:
    """Returns the recordings below `root`, sorted by path.

    Args:
        root: the folder of the corpus, or its `wav` folder.
        allow_partial: accept a part of the corpus, such as the four emotions angry, happy, neutral
            and sad (339 recordings, class set emodb4).

    Raises:
        CorpusError: no such folder, a file with another name, or counts other than the published.
    """
    root = Path(root)
    require_folder(root, INFO)
    recordings = []
    for path in audio_files(root):
        name = parse_stem(path.stem)
        recordings.append(
            Utterance(
                key=f"emodb/{path.stem}",
                path=path,
                label=name["label"],
                speaker=name["speaker"],
                corpus="emodb",
                sentence=name["sentence"],
                gender=name["gender"],
                style="acted",
            )
        )
    utterances = unique_keys(recordings)
    check_complete(utterances, INFO, root, allow_partial=allow_partial)
    return utterances
