"""The artifact of kind Corpus: which recordings there are, whose, with which labels and content.

corpus.json         which corpus, where it lies, counts by label and speaker, copies
recordings.jsonl    one row per recording, sorted by key
recordings/         the audio itself, of a corpus that was synthesised
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.features.recordings import Source
from pipeline.statistics.file import as_json
from ser_keras.errors import SchemaError
from ser_keras.files import replacing

CORPUS = "corpus.json"
RECORDINGS = "recordings.jsonl"
OWN_AUDIO = "recordings"


@dataclass(frozen=True)
class CorpusArtifact:
    """What a reader must know to read the corpus again. Made by `load_corpus`.

    Args:
        corpus: str. Name of the reader.
        data_dir: Path. Where the recordings lie.
        allow_partial: bool. A copy with other counts than the published ones was accepted.
        sha256_of: mapping of key to the hash of the recording's file.
        facts: mapping. The whole of corpus.json.
    """

    corpus: str
    data_dir: Path
    allow_partial: bool
    sha256_of: Mapping[str, str]
    facts: Mapping[str, Any]


def write_corpus(
    folder: Path, corpus: str, data_dir: str, allow_partial: bool, sources: Sequence[Source]
) -> dict[str, Any]:
    """Writes the artifact and returns the content of corpus.json.

    Args:
        folder: Path of the artifact.
        corpus: str. Name of the reader.
        data_dir: str. Where the recordings lie; "" where they are in the artifact.
        allow_partial: bool.
        sources: the recordings, sorted by key.
    """
    # The sources are gone through again and again, because gathered they would take more memory.
    times = Counter(source.sha256 for source in sources)
    same = defaultdict(list)
    for source in sources:
        if not source.sha256 or times[source.sha256] > 1:
            same[source.sha256].append(source.key)
    facts = {
        "corpus": corpus,
        "data_dir": data_dir,
        "allow_partial": allow_partial,
        "recordings": len(sources),
        "bytes": sum(source.num_bytes for source in sources),
        "labels": dict(Counter(each.utterance.label for each in sources)),
        "speakers": dict(Counter(f"{corpus}/{each.utterance.speaker}" for each in sources)),
        "unreadable": sorted(same.pop("", [])),
        "copies": sorted(same.values()),
    }
    rows = (
        {
            "key": source.key,
            "path": source.path,
            "label": source.utterance.label,
            "speaker": source.utterance.speaker,
            "bytes": source.num_bytes,
            "sha256": source.sha256,
        }
        for source in sources
    )
    with replacing(folder / RECORDINGS) as stream:
        stream.writelines(f"{json.dumps(row)}\n".encode() for row in rows)
    with replacing(folder / CORPUS) as stream:
        stream.write(as_json(facts))
    return facts


def load_corpus(folder: Path) -> CorpusArtifact:
    """Returns what the artifact in a folder says.

    Raises:
        SchemaError: there is none.
    """
    try:
        facts = json.loads((folder / CORPUS).read_text(encoding="utf-8"))
        with (folder / RECORDINGS).open(encoding="utf-8") as stream:
            sha256_of = {row["key"]: row["sha256"] for row in map(json.loads, stream)}
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
