"""What an export is asked before it may be served: its warm-up file, and real recordings.

Nobody wrote down the answers to warm-up requests; those to test utterances stand in the run that
was exported, written by training.
"""

import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.features.corpus_artifact import CorpusArtifact, load_corpus
from ser_keras.audio import read_audio
from ser_keras.corpora import read_corpus
from ser_keras.data.example import decode_example
from ser_keras.data.feature_set import FeatureSet
from ser_keras.data.record_files import read_framed
from ser_keras.errors import ExportError
from serving.client.tensors import array_of


@dataclass(frozen=True)
class Request:
    """One request, and its answer where it was recorded.

    Args:
        what: str. What messages call it.
        signature: str.
        inputs: mapping of name to array.
        answer: (batch, K) probabilities, None where nobody wrote them down.
    """

    what: str
    signature: str
    inputs: Mapping[str, np.ndarray]
    answer: np.ndarray | None = None


def warmup_requests(version: Path) -> list[Request]:
    """Returns the requests of a version's warm-up file, whose answers nobody recorded."""
    from serving.export.warmup import read_warmup

    return [
        Request(
            f"warm-up request {number} ({request.model_spec.signature_name})",
            request.model_spec.signature_name,
            {name: array_of(value) for name, value in request.inputs.items()},
        )
        for number, request in enumerate(read_warmup(version))
    ]


def recorded_requests(
    version: Path, run: Path, features: Path, corpus: Path | None = None, count: int = 8
) -> list[Request]:
    """Returns test utterances of the export's fold, with what the trained model said of them.

    From the shortest to the longest, evenly; as features and, where the corpus is given, as the
    audio itself.

    Args:
        version: folder of the export.
        run: folder of the run that it was made from.
        features: features that the run was trained on.
        corpus: artifact of the corpus.
        count: int. How many utterances.

    Raises:
        ExportError: the export is not of this run.
        SchemaError: the features are damaged.
        AudioError: a recording cannot be read any more.
    """
    about = description_of(version)
    said = _answers(version, about, run)
    found = FeatureSet.open(features)
    rows = sorted((row for row in found.rows if row.key in said), key=lambda r: (r.frames, r.key))
    places = np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))
    chosen = {rows[place].key: rows[place] for place in places}
    requests = [
        Request(
            f"features of {key}",
            "features",
            {"features": values[None], "frames": np.array([len(values)], np.int32)},
            said[key][None],
        )
        for shard in sorted({row.shard for row in chosen.values()})
        for key, values in map(decode_example, read_framed(found.path / shard))
        if key in chosen
    ]
    if corpus is not None:
        for key, waveform in _recordings(load_corpus(corpus), chosen, about["sample_rate_hz"]):
            inputs = {"waveform": waveform[None], "length": np.array([len(waveform)], np.int32)}
            requests.append(Request(f"audio of {key}", "serving_default", inputs, said[key][None]))
    return requests


def description_of(version: Path) -> dict[str, Any]:
    """Returns what an export says of itself, see `serving.export.export.describe`.

    Raises:
        ExportError: it says nothing.
    """
    path = version / "assets.extra" / "model.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ExportError(
            f"{version}: found no description (assets.extra/model.json), expected the folder of an "
            "export. It was copied in part, or is none; export again with `ser export`."
        ) from None
    return found


def _answers(version: Path, about: Mapping[str, Any], run: Path) -> dict[str, np.ndarray]:
    """Returns what training wrote down of the fold's test utterances, by key."""
    folder = run / "folds" / about["fold"]
    record = folder / "fold.json"
    trained = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    if trained.get("weights_sha256") != about["weights_sha256"]:
        raise ExportError(
            f"{version}: found weights {about['weights_sha256'][:12]} of fold {about['fold']}, "
            f"expected those of that fold in {run}. Give the run that was exported."
        )
    with np.load(folder / "scores.npz", allow_pickle=False) as stored:
        return dict(zip(stored["keys"].tolist(), stored["probabilities"], strict=True))


def _recordings(
    corpus: CorpusArtifact, keys: Container[str], sample_rate_hz: int
) -> Iterator[tuple[str, np.ndarray]]:
    utterances = read_corpus(corpus.corpus, corpus.data_dir, allow_partial=corpus.allow_partial)
    for utterance in utterances:
        if utterance.key in keys:
            yield utterance.key, read_audio(utterance.path, sample_rate_hz=sample_rate_hz)
