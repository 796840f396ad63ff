"""The checks of an export before it is published: it has to be the trained model.

The weights have to be finite, the graph may hold only operations that a stock server has, and the
served features and probabilities have to be those of training.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ser_keras.adaptation.moments import merged
from ser_keras.adaptation.speakers import takes_speakers
from ser_keras.audio import read_audio
from ser_keras.corpora import read_corpus
from ser_keras.data.part import UNLABELLED, FoldPart
from ser_keras.errors import ConfigError, ExportError
from ser_keras.metrics import with_temperature
from ser_keras.training.predict import Scores
from serving.export.signatures import Served
from serving.export.speaker_signatures import SpeakerInputs
from serving.export.trained_model import TrainedModel
from serving.export.trust.operations import foreign_operations, read_graph

# Largest differences that rounding explains.
LIMITS = {
    "features": 1e-3,
    "probabilities from features": 1e-5,
    "probabilities from waveform": 1e-4,
    "blind track": 1e-4,
    "adapted track": 1e-4,
}
# Recordings of one test speaker that are enrolled and then recognised, as a check.
ENROLLED = 8


def check_weights(model: keras.Model) -> None:
    """Checks that all weights are finite.

    Raises:
        ExportError: one is not; names it.
    """
    for weight in model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            raise ExportError(
                f"{model.name}: weight {weight.path} has values that are not finite; nothing was "
                "published. Train again, with a smaller learning rate."
            )


def check_operations(version: Path) -> None:
    """Checks that a SavedModel has listed operations alone, which a stock TensorFlow Serving has.

    Raises:
        ExportError: it has others; names them.
    """
    saved = read_graph(version)
    foreign = foreign_operations(saved)
    functions = saved.meta_graphs[0].graph_def.library.function
    if any(function.attr["_XlaMustCompile"].b for function in functions):
        foreign.append("_XlaMustCompile")
    if foreign:
        raise ExportError(
            f"{version.parent.name}: found {', '.join(foreign)} in the graph, expected only "
            "operations of the list in serving/export/trust/operations.txt; nothing was published. "
            "Build the layer from operations of TensorFlow's core that compute, or list a missing "
            "one that does."
        )


def check_answers(
    version: Path, trained: TrainedModel, data_dir: Path
) -> dict[str, dict[str, float]]:
    """Checks the answers of a SavedModel against training; returns the differences by recording.

    The shortest, the median and the longest recording of the test part are served from the audio
    on disk. Their features are compared with the stored ones, their probabilities with Keras. A
    model with an adapted track has to answer on both tracks as in evaluation, too, on recordings of
    one test speaker.

    Raises:
        ExportError: a difference exceeds its limit; says which, where and by how much.
        ConfigError: the recordings are not in `data_dir`.
    """
    signatures = tf.saved_model.load(str(version)).signatures
    keys = shortest_median_longest(trained)
    speaker_keys = of_one_speaker(keys[1], trained) if "adapted" in trained.tracks else ()
    paths = paths_of([*keys, *speaker_keys], trained, data_dir)
    stored = stored_features(keys, trained)
    rate = trained.served.spec.sample_rate_hz
    differences = {}
    for key in keys:
        waveform = read_audio(paths[key], sample_rate_hz=rate)
        differences[key] = _differences(signatures, trained.served, waveform, stored[key])
    if speaker_keys:
        waveforms = [read_audio(paths[key], sample_rate_hz=rate) for key in speaker_keys]
        tracks = track_differences(
            *(signatures, trained.scores, trained.served.temperature, speaker_keys, waveforms)
        )
        for key, by_track in tracks:
            differences[key] = differences.get(key, {}) | by_track
    check_limits(differences)
    return differences


def keras_probabilities(served: Served, features: np.ndarray) -> np.ndarray:
    """Returns the probabilities (K,) that the Keras model has for features (frames, dim).

    They are the mean over the utterance's segments, with the temperature of the export.
    """
    size, hop = served.segments.frames or len(features), served.segments.hop
    last = max(0, len(features) - size)
    starts = [min(number * hop, last) for number in range(served.segments.count(len(features)))]
    served.model.jit_compile = False  # XLA would compile it for every length
    probabilities = []
    for start in starts:
        segment = features[start:][:size]
        mask = np.ones((1, len(segment)), bool)
        inputs = {"features": segment[None], "mask": mask}
        if takes_speakers(served.model):
            inputs |= SpeakerInputs(served.model, served.spec).of(inputs["features"], mask, {})
        logits = keras.ops.convert_to_numpy(served.model.predict_on_batch(inputs)["logits"][0])
        powers = np.exp(logits.astype(np.float64) - logits.max())
        probabilities.append(powers / powers.sum())
    return with_temperature(np.mean(probabilities, axis=0)[None], served.temperature)[0]


def shortest_median_longest(trained: TrainedModel) -> Sequence[str]:
    """Returns the keys of the shortest, the median and the longest recording to check."""
    keys = set(trained.checked_keys)
    rows = [row for row in trained.feature_set.rows if row.key in keys]
    rows.sort(key=lambda row: (row.frames, row.key))
    return [rows[number].key for number in (0, len(rows) // 2, len(rows) - 1)]


def paths_of(keys: Sequence[str], trained: TrainedModel, data_dir: Path) -> dict[str, Path]:
    """Returns the files of recordings, by key; refuses a folder that lacks one."""
    corpus = trained.feature_set.schema.corpus
    utterances = read_corpus(corpus, data_dir, allow_partial=True)
    paths = {utterance.key: utterance.path for utterance in utterances}
    if missing := [key for key in keys if key not in paths]:
        raise ConfigError(
            f"--data-dir {data_dir}: found no recording {missing[0]}, expected the corpus that the "
            f"features in {trained.feature_set.path} were made from."
        )
    return paths


def stored_features(keys: Sequence[str], trained: TrainedModel) -> dict[str, np.ndarray]:
    """Returns the stored features (frames, dim) of recordings, by key."""
    part = FoldPart(trained.feature_set, dict.fromkeys(keys, UNLABELLED))
    return {
        example["key"].decode(): example["features"]
        for example in part.utterances.as_numpy_iterator()
    }


def _differences(
    signatures: Mapping[str, Any], served: Served, waveform: np.ndarray, features: np.ndarray
) -> dict[str, float]:
    """Returns the largest differences between served and trained, by the keys of `LIMITS`."""
    expected = keras_probabilities(served, features)
    audio = {"waveform": tf.constant(waveform[None]), "length": tf.constant([len(waveform)])}
    frames = {"features": tf.constant(features[None]), "frames": tf.constant([len(features)])}

    def answer(signature: str, inputs: dict[str, tf.Tensor], output: str) -> np.ndarray:
        values: np.ndarray = signatures[signature](**inputs)[output][0].numpy()
        return values

    from_features = answer("features", frames, "probabilities")
    from_waveform = answer("serving_default", audio, "probabilities")
    return {
        "features": distance(answer("front_end", audio, "features"), features),
        "probabilities from features": distance(from_features, expected),
        "probabilities from waveform": distance(from_waveform, expected),
    }


def of_one_speaker(key: str, trained: TrainedModel) -> Sequence[str]:
    """Returns `ENROLLED` recordings of the speaker of `key`, or all, from short to long."""
    keys = set(trained.checked_keys)
    rows = [row for row in trained.feature_set.rows if row.key in keys]
    (person,) = {(row.corpus, row.speaker) for row in rows if row.key == key}
    rows = [row for row in rows if (row.corpus, row.speaker) == person]
    rows.sort(key=lambda row: (row.frames, row.key))
    numbers = np.unique(np.linspace(0, len(rows) - 1, ENROLLED).round().astype(int))
    return [rows[number].key for number in numbers]


def track_differences(
    signatures: Mapping[str, Any],
    scores_of: Callable[[Sequence[str], str], Scores],
    temperature: float,
    keys: Sequence[str],
    waveforms: Sequence[np.ndarray],
) -> Iterator[tuple[str, dict[str, float]]]:
    """Yields (key, largest difference between served and evaluated probabilities by track).

    Args:
        signatures: of the SavedModel.
        scores_of: returns the scores of evaluation, given keys and a track.
        temperature: float. Of the export.
        keys: of recordings of one speaker, all of whom are enrolled.
        waveforms: (samples,) of each.
    """
    requests = [
        {"waveform": tf.constant(waveform[None]), "length": tf.constant([len(waveform)])}
        for waveform in waveforms
    ]
    speaker = _enrolled(signatures, requests)
    answers = {
        "blind": [signatures["serving_default"](**request) for request in requests],
        "adapted": [signatures["adapted"](**request, **speaker) for request in requests],
    }
    differences: dict[str, dict[str, float]] = {key: {} for key in keys}
    for track, outputs in answers.items():
        scores = scores_of(keys, track)
        expected = with_temperature(scores.probabilities, temperature)
        row_of = {key: number for number, key in enumerate(scores.keys)}
        for key, output in zip(keys, outputs, strict=True):
            probabilities = output["probabilities"][0].numpy()
            difference = distance(probabilities, expected[row_of[key]])
            differences[key][f"{track} track"] = difference
    yield from differences.items()


def _enrolled(
    signatures: Mapping[str, Any], requests: Sequence[Mapping[str, tf.Tensor]]
) -> dict[str, tf.Tensor]:
    """Returns the statistics of the speaker of all requests, inputs of the signature `adapted`."""
    speaker: dict[str, tf.Tensor] = {}
    for signature in ("enrol", "enrol_embedding"):
        answers = [signatures[signature](**request, **speaker) for request in requests]
        if "export_id" in answers[0]:
            speaker["export_id"] = answers[0]["export_id"]
        for name in answers[0].keys() - {"export_id"}:
            rows = merged([answer[name][0].numpy() for answer in answers])
            speaker[name] = tf.constant(rows[None], tf.float32)
    return speaker


def distance(values: np.ndarray, expected: np.ndarray) -> float:
    """Returns the largest difference; infinity where the shapes differ."""
    if values.shape != expected.shape:
        return float("inf")
    return float(np.abs(values - expected).max())


def check_limits(differences: Mapping[str, Mapping[str, float]]) -> None:
    """Raises ExportError where a difference exceeds its limit, see `LIMITS`."""
    for key, by_quantity in differences.items():
        for quantity, difference in by_quantity.items():
            limit = LIMITS[quantity]
            if not difference <= limit:
                raise ExportError(
                    f"{key}: served {quantity} are {difference:.2g} from those of "
                    f"training, expected at most {limit:g}. The export is not the trained model; "
                    "nothing was published. Make the features again with this version, train, and "
                    "export."
                )
