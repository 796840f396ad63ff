"""IEMOCAP: ten actors in five sessions of two, improvised scenes and scripted plays, in English.

Where: request form of USC SAIL, https://sail.usc.edu/iemocap/ (signed form; no download command).

Tree::

    Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M003.wav
    Session1/dialog/EmoEvaluation/Ses01F_impro01.txt       (its sub-folders hold single raters)

A label line is `[start - end]<TAB>turn<TAB>emotion<TAB>[valence, activation, dominance]`; lines of
single raters (`C-E2: ...`) and the `%` header lie between.

Name: `Ses01F_impro01_M003` is session 1, dialog `impro01`, and the turn `M003`, spoken by the MAN.
The prefix `Ses01F` says only that the woman wore the motion-capture markers; it is the wrong
speaker in 2750 of the 5531 utterances. The turn is the last field, found from the right, since
some dialogs carry a further letter (`impro05a`, `script01_1b`).

Counts: 5531 with one of five labels: ang 1103, hap 595, exc 1041, neu 1708, sad 1084; sessions
1085, 1023, 1151, 1031, 1241. Improvised without excited: 2280; 422, 393, 538, 370, 557. Happy and
excited stay apart here; a class set merges them.

Sentence: improvised turns have none. Turn numbers of a scripted dialog follow its script, so that
`script01_1-F000` is (but for slips of the actors) one line spoken in every session. A retake
(`script01_1b`) counts as its dialog, and a turn put in between (`FXX0`) has no sentence.
"""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from ser_keras.corpora.base import (
    CorpusInfo,
    Utterance,
    check_complete,
    look_up,
    require_folder,
    unique_keys,
)
from ser_keras.corpora.table_text import encoding_of
from ser_keras.errors import CorpusError

_EMOTIONS = {"ang": "angry", "hap": "happy", "exc": "excited", "neu": "neutral", "sad": "sad"}
_OTHER_EMOTIONS = ("fru", "sur", "fea", "dis", "oth", "xxx")
_GENDERS = {"F": "female", "M": "male"}
_STYLES = {"impro": "improvised", "script": "scripted"}
_NAME = re.compile(
    r"Ses0(?P<session>[1-5])[FM]_(?P<dialog>(?P<style>[a-z]+)\d\d(_\d)?)[a-z]?"
    r"_(?P<gender>[A-Z])(?P<turn>\d{3}|XX\d)"
)

INFO = CorpusInfo(
    name="iemocap",
    title="IEMOCAP",
    utterances=5531,
    labels={"angry": 1103, "happy": 595, "excited": 1041, "neutral": 1708, "sad": 1084},
    speakers={f"Ses0{session}{letter}": None for session in range(1, 6) for letter in "FM"},
    class_sets=("iemocap4", "iemocap4-no-excited"),
    licence="signed form of USC SAIL; research only",
    citation="Busso et al. (2008), Language Resources and Evaluation 42, 335-359",
    home="https://sail.usc.edu/iemocap/",
    access="Ask for it with the form at https://sail.usc.edu/iemocap/ and give the folder that "
    "holds Session1 to Session5.",
    sessions={"1": 1085, "2": 1023, "3": 1151, "4": 1031, "5": 1241},
    languages=("English",),
    short_licence="USC form",
)

_log = logging.getLogger(__name__)


def parse_stem(stem: str) -> dict[str, str]:
    """Returns session, speaker, gender, style and sentence of one recording's name.

    Raises:
        CorpusError: the name does not follow the corpus.

    Example:
        >>> parse_stem("Ses05M_script01_1b_F012")["speaker"]
        'Ses05F'
    """
    match = _NAME.fullmatch(stem)
    if match is None:
        raise CorpusError(
            f"{INFO.title}: found the turn {stem!r}, expected a name such as Ses01F_impro01_M003. "
            "Take it out of the label file, or get the corpus again."
        )
    session, dialog, letter, turn = match.group("session", "dialog", "gender", "turn")
    style = look_up(_STYLES, match["style"], kind="style", stem=stem, info=INFO)
    known_line = style == "scripted" and turn.isdigit()
    return {
        "session": session,
        "speaker": f"Ses0{session}{letter}",
        "gender": look_up(_GENDERS, letter, kind="speaker letter", stem=stem, info=INFO),
        "style": style,
        "sentence": f"{dialog}-{letter}{turn}" if known_line else "",
    }


def read(root: str | Path, *, allow_partial: bool = False) -> list[Utterance]:
    """Returns the utterances labelled angry, happy, excited, neutral or sad, in label-file order.

    Args:
        root: the folder that holds `Session1` to `Session5`.
        allow_partial: accept a part of the corpus, and leave out labelled turns without a WAV.

    Raises:
        CorpusError: no such folder, a label line that cannot be read, missing recordings, or
            counts other than the published ones.
    """
    root = Path(root)
    require_folder(root, INFO)
    recordings: list[Utterance] = []
    missing: list[Utterance] = []
    for session in sorted(root.glob("Session[1-5]")):
        recording_of = _recordings(session / "sentences" / "wav")
        for turn, label in _labels(session / "dialog" / "EmoEvaluation"):
            name = parse_stem(turn)
            dialog = turn.rpartition("_")[0]
            expected = session / "sentences" / "wav" / dialog / f"{turn}.wav"
            path = recording_of.get((dialog, turn), expected)
            utterance = Utterance(f"iemocap/{turn}", path, label, corpus="iemocap", **name)
            (recordings if path.is_file() else missing).append(utterance)
    if missing:
        _report_missing([utterance.path for utterance in missing], root, allow_partial)
    utterances = unique_keys(recordings)
    check_complete(utterances, INFO, root, allow_partial=allow_partial)
    return utterances


def _recordings(folder: Path) -> dict[tuple[str, str], Path]:
    """Returns the recordings of a session by dialog and turn; some copies have them as `.WAV`."""
    return {
        (path.parent.name, path.stem): path
        for path in sorted(folder.glob("*/Ses*"))
        if path.suffix.lower() == ".wav"
    }


def _labels(folder: Path) -> Iterator[tuple[str, str]]:
    """Yields turn and label of a session; an editor on Windows saves the files as UTF-16."""
    for path in sorted(path for path in folder.glob("Ses*") if path.suffix.lower() == ".txt"):
        data = path.read_bytes()
        lines = data.decode(encoding_of(data), errors="replace").splitlines()
        for number, line in enumerate(lines, start=1):
            if line.startswith("["):
                turn, code = _turn_and_code(line, f"{path}:{number}")
                if code in _EMOTIONS:
                    yield turn, _EMOTIONS[code]


def _turn_and_code(line: str, where: str) -> tuple[str, str]:
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) == 4 and (fields[2] in _EMOTIONS or fields[2] in _OTHER_EMOTIONS):
        return fields[1], fields[2]
    raise CorpusError(
        f"{where}: found {line[:80]!r}, expected '[start - end]<TAB>turn<TAB>emotion<TAB>[V, A, D]'"
        f" with an emotion of {', '.join((*_EMOTIONS, *_OTHER_EMOTIONS))}. Get the file again."
    )


def _report_missing(paths: list[Path], root: Path, allow_partial: bool) -> None:
    sentence = f"{len(paths)} labelled recordings are not there, the first is {paths[0]}."
    if not allow_partial:
        raise CorpusError(
            f"{INFO.title} at {root}: {sentence} Unpack the corpus again, or pass --allow-partial."
        )
    _log.warning("%s at %s: %s They are left out.", INFO.title, root, sentence)
