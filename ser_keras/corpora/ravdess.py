"""RAVDESS, the speech part: 24 actors say two sentences in eight emotions, in English.

Where: `ser download ravdess`, or https://zenodo.org/records/1188976, file
`Audio_Speech_Actors_01-24.zip`. Licence CC BY-NC-SA 4.0.

Tree: folders `Actor_NN` anywhere below the root, WAV or FLAC::

    Actor_12/03-01-06-01-02-01-12.wav

Name: seven fields, modality-channel-emotion-intensity-statement-repetition-actor. Modality 03 is
audio alone; channel 01 is speech and 02 song; even actors are women. Neutral has no strong
intensity, hence half as many recordings.

Counts: 1440 = 24 actors x 60; neutral 96, each of the seven other emotions 192.

Traps: songs unpacked into the same folders are left out, and counted in a warning. Copies in
circulation hold every recording twice (`audio_speech_actors_01-24/Actor_NN` beside `Actor_NN`).
03-01-03-01-02-01-07 and 03-01-03-01-02-02-07 are one recording under two names, in the original.
"""

import logging
from pathlib import Path

from ser_keras.corpora.base import (
    CorpusInfo,
    Utterance,
    audio_files,
    check_complete,
    look_up,
    require_folder,
    unique_keys,
)
from ser_keras.errors import CorpusError

_MODALITIES = {"01": "audio-video", "02": "video", "03": "audio"}
_CHANNELS = {"01": "speech", "02": "song"}
_EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgusted",
    "08": "surprised",
}
_INTENSITIES = {"01": "normal", "02": "strong"}
_STATEMENTS = {"01": "kids", "02": "dogs"}
_REPETITIONS = {"01": "1", "02": "2"}
_GENDERS = {f"{actor:02}": "male" if actor % 2 else "female" for actor in range(1, 25)}

INFO = CorpusInfo(
    name="ravdess",
    title="RAVDESS",
    utterances=1440,
    labels={label: 96 if label == "neutral" else 192 for label in _EMOTIONS.values()},
    speakers=dict.fromkeys(_GENDERS, 60),
    class_sets=("ravdess8",),
    licence="CC BY-NC-SA 4.0",
    citation="Livingstone and Russo (2018), PLoS ONE 13(5): e0196391",
    home="https://zenodo.org/records/1188976",
    access="Get it with `ser download ravdess`, or unpack Audio_Speech_Actors_01-24.zip of "
    "https://zenodo.org/records/1188976, and give the folder that holds Actor_01 to Actor_24.",
)

_log = logging.getLogger(__name__)


def parse_stem(stem: str) -> dict[str, str]:
    """Returns what the seven fields of one recording's name say, in words.

    Raises:
        CorpusError: the name does not follow the corpus.

    Example:
        >>> parse_stem("03-01-06-01-02-01-12")["label"]
        'fearful'
    """
    fields = stem.split("-")
    if len(fields) != 7:
        raise CorpusError(
            f"{INFO.title}: found the file {stem!r}, expected seven fields as in "
            "03-01-06-01-02-01-12. Remove the file, or get the corpus again."
        )
    modality, channel, emotion, intensity, statement, repetition, actor = fields

    def meaning(table: dict[str, str], code: str, kind: str) -> str:
        return look_up(table, code, kind=kind, stem=stem, info=INFO)

    meaning(_STATEMENTS, statement, "statement")
    return {
        "modality": meaning(_MODALITIES, modality, "modality"),
        "channel": meaning(_CHANNELS, channel, "channel"),
        "label": meaning(_EMOTIONS, emotion, "emotion"),
        "intensity": meaning(_INTENSITIES, intensity, "intensity"),
        "sentence": statement,
        "repetition": meaning(_REPETITIONS, repetition, "repetition"),
        "speaker": actor,
        "gender": meaning(_GENDERS, actor, "actor"),
    }


def read(root: str | Path, *, allow_partial: bool = False) -> list[Utterance]:
    """Returns the speech recordings below `root`, sorted by path.

    Args:
        root: the folder that holds the `Actor_NN` folders, at any depth.
        allow_partial: accept a part of the corpus, or a copy that holds recordings twice; the
            second copies get keys that end in `#2`.

    Raises:
        CorpusError: no such folder, a file with another name, or counts other than the published.
    """
    root = Path(root)
    require_folder(root, INFO)
    recordings = []
    songs = 0
    for path in audio_files(root):
        name = parse_stem(path.stem)
        if (name["modality"], name["channel"]) != ("audio", "speech"):
            songs += 1
            continue
        recordings.append(
            Utterance(
                key=f"ravdess/{path.stem}",
                path=path,
                label=name["label"],
                speaker=name["speaker"],
                corpus="ravdess",
                sentence=name["sentence"],
                gender=name["gender"],
                style="acted",
            )
        )
    if songs:
        _log.warning("%s at %s: left out %d songs and sound tracks.", INFO.title, root, songs)
    utterances = unique_keys(recordings)
    check_complete(utterances, INFO, root, allow_partial=allow_partial)
    return utterances
