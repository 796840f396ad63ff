"""The artifact of kind Corpus: its recordings with speakers, labels and hashes.

corpus.json         name and folder of the corpus, counts by label and speaker, copies
recordings.jsonl    one row per recording, sorted by key
recordings/         the audio, if the corpus was synthesised
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.features.recordings import Recording
from pipeline.statistics.file import as_json
from ser_keras.errors import SchemaError
from ser_keras.files import parse_json, replacing

CORPUS = "corpus.json"
RECORDINGS = "recordings.jsonl"
OWN_AUDIO = "recordings"


@dataclass(frozen=True)
class CorpusArtifact:
    """What is needed to read the corpus again. Made by `load_corpus`.

    Args:
        corpus: str. Name of the corpus.
        data_dir: Path. Folder of the recordings.
        allow_partial: bool. A copy whose counts differ from the published ones was accepted.
        sha256_of: mapping of key to the hash of the recording's file.
        facts: mapping. The content of corpus.json.
    """

    corpus: str
    data_dir: Path
    allow_partial: bool
    sha256_of: Mapping[str, str]
    facts: Mapping[str, Any]


def write_corpus(
    folder: Path,
    corpus: str,
    data_dir: str,
    allow_partial: bool,
    recordings: Sequence[Recording],
) -> dict[str, Any]:
    """Writes the artifact and returns the content of corpus.json.

    Args:
        folder: Path of the artifact.
        corpus: str. Name of the corpus.
        data_dir: str. Folder of the recordings; "" if they are in the artifact.
        allow_partial: bool.
        recordings: sorted by key.
    """
    # The list is read several times, because its objects together would take more memory.
    counts = Counter(recording.sha256 for recording in recordings)
    keys_of = defaultdict(list)
    for recording in recordings:
        if not recording.sha256 or counts[recording.sha256] > 1:
            keys_of[recording.sha256].append(recording.key)
    facts = {
        "corpus": corpus,
        "data_dir": data_dir,
        "allow_partial": allow_partial,
        "recordings": len(recordings),
        "bytes": sum(recording.num_bytes for recording in recordings),
        "labels": dict(Counter(recording.utterance.label for recording in recordings)),
        "speakers": dict(
            Counter(f"{corpus}/{recording.utterance.speaker}" for recording in recordings)
        ),
        "unreadable": sorted(keys_of.pop("", [])),
        "copies": sorted(keys_of.values()),
    }
    rows = (
        {
            "key": recording.key,
            "path": recording.path,
            "label": recording.utterance.label,
            "speaker": recording.utterance.speaker,
            "bytes": recording.num_bytes,
            "sha256": recording.sha256,
        }
        for recording in recordings
    )
    with replacing(folder / RECORDINGS) as stream:
        stream.writelines(f"{json.dumps(row)}\n".encode() for row in rows)
    with replacing(folder / CORPUS) as stream:
        stream.write(as_json(facts))
    return facts


def load_corpus(folder: Path) -> CorpusArtifact:
    """Returns the artifact in a folder.

    Raises:
        SchemaError: there is none.
    """
    try:
        facts = parse_json((folder / CORPUS).read_text(encoding="utf-8"))
        with (folder / RECORDINGS).open(encoding="utf-8") as stream:
            sha256_of = {row["key"]: row["sha256"] for row in map(parse_json, stream)}
    except (OSError, ValueError) as error:
        raise SchemaError(
            f"{folder}: could not be read as a corpus ({error}). Run its node again."
        ) from None
    return CorpusArtifact(
        facts["corpus"],
        Path(facts["data_dir"]) if facts["data_dir"] else folder / OWN_AUDIO,
        facts["allow_partial"],
        sha256_of,
        facts,
    )
