"""CASIA, the Chinese emotional speech corpus: four actors say the same sentences six ways.

Where: licensed by the Chinese Linguistic Data Consortium; no download command.

Tree: the last three parts of a path say everything; the case of the speaker's folder varies::

    liuchanhg/angry/201.wav
    ZhaoZuoxiang/surprise/250.wav

Name: a file's own name is the sentence's number alone, so `parse_stem` takes the three parts joined
by hyphens, which is also the utterance's key: `liuchanhg-angry-201`.

Counts: the public subset has 1200 = 4 speakers x 6 emotions x sentences 201 to 250. The full corpus
has 9600, 400 per speaker and emotion: 300 sentences that all share, and 100 that differ, kept in
folders that spell the same four people `Chang.Liu`, `Zhe.Wang`, `Quanyin.Zhao`, `Zuoxiang.Zhao`. A
copy with more than 1200 different recordings is checked against the full corpus.

Trap: every cell holds the same sentences, so a random split leaks text as well as speakers.
"""

from dataclasses import replace
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

_EMOTIONS = {
    "angry": "angry",
    "fear": "fearful",
    "happy": "happy",
    "neutral": "neutral",
    "sad": "sad",
    "surprise": "surprised",
}
_GENDERS = {
    "liuchanhg": "female",
    "wangzhe": "male",
    "zhaoquanyin": "female",
    "zhaozuoxiang": "male",
}
_OWN_TEXT_FOLDERS = {
    "chang.liu": "liuchanhg",
    "zhe.wang": "wangzhe",
    "quanyin.zhao": "zhaoquanyin",
    "zuoxiang.zhao": "zhaozuoxiang",
}
_SPEAKERS = {speaker: speaker for speaker in _GENDERS} | _OWN_TEXT_FOLDERS

INFO = CorpusInfo(
    name="casia",
    title="CASIA",
    utterances=1200,
    labels=dict.fromkeys(_EMOTIONS.values(), 200),
    speakers=dict.fromkeys(_GENDERS, 300),
    class_sets=("casia6",),
    licence="licensed by the Chinese Linguistic Data Consortium",
    citation="Institute of Automation, Chinese Academy of Sciences (2005), CASIA Chinese emotional "
    "speech corpus",
    home="http://www.chineseldc.org/",
    access="Ask the Chinese Linguistic Data Consortium for it (http://www.chineseldc.org/) and "
    "give the folder that holds the four speakers.",
    languages=("Mandarin",),
    short_licence="ChineseLDC",
)
FULL = replace(
    INFO,
    title="CASIA (full corpus)",
    utterances=9600,
    labels=dict.fromkeys(_EMOTIONS.values(), 1600),
    speakers=dict.fromkeys(_GENDERS, 2400),
)


def parse_stem(stem: str) -> dict[str, str]:
    """Returns speaker, label, sentence and gender of `<speaker>-<emotion>-<number>`.

    A sentence that only one speaker says in one emotion is identified by all three.

    Raises:
        CorpusError: the name does not follow the corpus.

    Example:
        >>> parse_stem("ZhaoZuoxiang-surprise-201")["label"]
        'surprised'
    """
    fields = stem.split("-")
    if len(fields) != 3 or not fields[2].isdecimal():
        raise CorpusError(
            f"{INFO.title}: found the recording {stem!r}, expected <speaker>/<emotion>/<number> as "
            "in liuchanhg/angry/201.wav. Remove the file, or put it into its folders."
        )
    folder, emotion, number = fields[0].lower(), fields[1].lower(), fields[2]
    speaker = look_up(_SPEAKERS, folder, kind="speaker", stem=stem, info=INFO)
    return {
        "speaker": speaker,
        "label": look_up(_EMOTIONS, emotion, kind="emotion", stem=stem, info=INFO),
        "sentence": f"{folder}-{emotion}-{number}" if folder in _OWN_TEXT_FOLDERS else number,
        "gender": _GENDERS[speaker],
    }


def read(root: str | Path, *, allow_partial: bool = False) -> list[Utterance]:
    """Returns the recordings below `root`, sorted by path.

    Args:
        root: the folder that holds the speakers' folders, at any depth.
        allow_partial: accept any part of the corpus.

    Raises:
        CorpusError: no such folder, a recording elsewhere than in the folders of a speaker and an
            emotion, or counts other than the published ones.
    """
    root = Path(root)
    require_folder(root, INFO)
    recordings = []
    for path in audio_files(root):
        stem = "-".join(path.absolute().with_suffix("").parts[-3:]).lower()
        name = parse_stem(stem)
        recordings.append(Utterance(f"casia/{stem}", path, corpus="casia", style="acted", **name))
    utterances = unique_keys(recordings)
    info = FULL if len({u.key for u in recordings}) > (INFO.utterances or 0) else INFO
    check_complete(utterances, info, root, allow_partial=allow_partial)
    return utterances
