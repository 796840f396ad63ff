"""The requests that an export must answer before it may be served: warm-up and test utterances.

Warm-up requests have no recorded answers. The answers to test utterances are in the exported run,
where training wrote them.
"""

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
from ser_keras.files import parse_json
from ser_keras.training.history import read_fold_record
from serving.client.tensors import array_of


@dataclass(frozen=True)
class Request:
    """One request, with its answer if that was recorded.

    Args:
        title: str. Its name in messages.
        signature: str.
        inputs: mapping of name to array.
        answer: (batch, K) probabilities, None if they were not recorded.
    """

    title: str
    signature: str
    inputs: Mapping[str, np.ndarray]
    answer: np.ndarray | None = None


def warmup_requests(version: Path) -> list[Request]:
    """Returns the requests of a version's warm-up file, without answers."""
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
    """Returns test utterances of the export's fold, with the trained model's answers.

    They are spread evenly from the shortest to the longest. Each is sent as features and, if the
    corpus is given, as audio.

    Args:
        version: folder of the export.
        run: folder of the exported run.
        features: features that the run was trained on.
        corpus: artifact of the corpus.
        count: int. Number of utterances.

    Raises:
        ExportError: the export is not of this run.
        SchemaError: the features are damaged.
        AudioError: a recording can no longer be read.
    """
    description = description_of(version)
    answers = _recorded_answers(version, description, run)
    feature_set = FeatureSet.open(features)
    rows = sorted(
        (row for row in feature_set.rows if row.key in answers), key=lambda r: (r.frames, r.key)
    )
    positions = np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))
    chosen = {rows[position].key: rows[position] for position in positions}
    requests = [
        Request(
            f"features of {key}",
            "features",
            {"features": values[None], "frames": np.array([len(values)], np.int32)},
            answers[key][None],
        )
        for shard in sorted({row.shard for row in chosen.values()})
        for key, values in map(decode_example, read_framed(feature_set.path / shard))
        if key in chosen
    ]
    if corpus is not None:
        rate_hz = description["sample_rate_hz"]
        for key, waveform in _waveforms(load_corpus(corpus), chosen, rate_hz):
            inputs = {"waveform": waveform[None], "length": np.array([len(waveform)], np.int32)}
            answer = answers[key][None]
            requests.append(Request(f"audio of {key}", "serving_default", inputs, answer))
    return requests


def description_of(version: Path) -> dict[str, Any]:
    """Returns an export's description, see `serving.export.export.describe`.

    Raises:
        ExportError: there is no description.
    """
    path = version / "assets.extra" / "model.json"
    try:
        description: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ExportError(
            f"{version}: found no description (assets.extra/model.json), expected the folder of an "
            "export. It was copied in part, or is none; export again with `ser export`."
        ) from None
    return description


def _recorded_answers(
    version: Path, description: Mapping[str, Any], run: Path
) -> dict[str, np.ndarray]:
    """Returns the probabilities that training recorded of the fold's test utterances, by key.

    They are those of the blind track: a request without statistics of a speaker is answered so.
    """
    from ser_keras.experiments.run_result import read_scores
    from ser_keras.training.trainer import scores_name

    folder = run / "folds" / description["fold"]
    record = folder / "fold.json"
    trained = read_fold_record(record) if record.is_file() else {}
    if trained.get("weights_sha256") != description["weights_sha256"]:
        raise ExportError(
            f"{version}: found weights {description['weights_sha256'][:12]} of fold "
            f"{description['fold']}, "
            f"expected those of that fold in {run}. Give the run that was exported."
        )
    path = folder / scores_name("blind", trained.get("track", "blind"))
    stored = read_scores(path)
    return dict(zip(stored["keys"].tolist(), stored["probabilities"], strict=True))


def _waveforms(
    corpus: CorpusArtifact, keys: Container[str], sample_rate_hz: int
) -> Iterator[tuple[str, np.ndarray]]:
    utterances = read_corpus(corpus.corpus, corpus.data_dir, allow_partial=corpus.allow_partial)
    for utterance in utterances:
        if utterance.key in keys:
            yield utterance.key, read_audio(utterance.path, sample_rate_hz=sample_rate_hz)
