"""Exports of small models with an adapted track, and what a speaker's statistics are by NumPy."""

import keras
import numpy as np

from ser_keras.adaptation.functionals import functionals_layer
from ser_keras.data.segments import WHOLE
from ser_keras.features.specs import get_spec
from ser_keras.models import build_model
from serving.export.signatures import Served
from serving.export.speaker_signatures import export_id_of
from tests.serving.exports import CLASSES

LEAST_S = 0.5
OPTIONS = {
    "attention_cnn": {"filters": [6, 6], "pool_after": [1]},
    "predictive_vrnn": {
        "recognition_units": 8,
        "generation_units": 6,
        "classification_units": 8,
        "latent_dim": 3,
    },
}


def functionals_count() -> int:
    """Returns the number of functionals of the spec `mel64-prosody`."""
    spec = get_spec("mel64-prosody")
    layer = functionals_layer(spec)
    return layer(np.zeros((1, 3, spec.dim), np.float32), mask=np.ones((1, 3), bool)).shape[-1]


def small(name: str = "attention_cnn", seed: int = 0, tracks=("blind", "adapted")) -> Served:
    """Returns a small model by speaker with random weights, normalisers and averages."""
    spec = get_spec("mel64-prosody")
    keras.utils.set_random_seed(seed)
    speaker = {"functionals": functionals_count(), "functional_units": 8}
    model = build_model(
        name, num_classes=len(CLASSES), dim=spec.dim, speaker=speaker, **OPTIONS[name]
    )
    rng = np.random.default_rng(seed)
    for layer in ("normalizer", "functional_normalizer"):
        dim = model.get_layer(layer).offset.shape[0]
        model.get_layer(layer).set_affine(rng.normal(size=dim), rng.uniform(0.5, 1.0, dim))
    averages = model.get_layer("embedding")
    averages.moving_mean.assign(rng.normal(size=averages.moving_mean.shape))
    return Served(model, spec, CLASSES, WHOLE, tracks=tracks, least_s=LEAST_S)


def moments(rows: np.ndarray) -> np.ndarray:
    """Returns count, mean and mean of squares of rows, by loops."""
    count, dim = rows.shape
    mean, square = np.zeros(dim), np.zeros(dim)
    for row in rows.astype(np.float64):
        mean += row / count
        square += row * row / count
    return np.concatenate([[count], mean, square])


def keras_statistics(served: Served, recordings: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Returns a speaker's statistics from the features of all recordings, (1, 1 + 2 dim) each."""
    model, layer = served.model, functionals_layer(served.spec)
    convert = keras.ops.convert_to_numpy
    affines = {
        name: [convert(w).astype(np.float64) for w in (layer.offset, layer.scale)]
        for name in ("normalizer", "functional_normalizer")
        for layer in [model.get_layer(name)]
    }

    def scaled(values, name):
        offset, scale = affines[name]
        return (values - offset) * scale

    masks = [np.ones((1, len(features)), bool) for features in recordings]
    functionals = [
        convert(layer(features[None], mask=mask))
        for features, mask in zip(recordings, masks, strict=True)
    ]
    statistics = {
        "frame_statistics": moments(scaled(np.concatenate(recordings), "normalizer")),
        "functional_statistics": moments(
            scaled(np.concatenate(functionals), "functional_normalizer")
        ),
    }
    statistics = {name: row[None].astype(np.float32) for name, row in statistics.items()}
    embeddings = [
        keras_outputs(served, features, statistics)["embedding"] for features in recordings
    ]
    return statistics | {"embedding_statistics": moments(np.stack(embeddings))[None]}


def inputs_of(served: Served, recordings: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the inputs of `adapted` beside a waveform, by Keras and NumPy alone."""
    rows = keras_statistics(served, recordings)
    identity = np.array([export_id_of(served.model, served.spec)], np.int64)
    return {name: row.astype(np.float32) for name, row in rows.items()} | {"export_id": identity}


def keras_outputs(
    served: Served, features: np.ndarray, statistics: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Returns the model's outputs for features (frames, dim); nothing is known without statistics.

    Embedding statistics that are left out count 0.
    """
    model, mask = served.model, np.ones((1, len(features)), bool)
    inputs = {
        name: np.zeros((1, tensor.shape[-1]), np.float32)
        for name, tensor in model.input.items()
        if name.endswith("_statistics")
    }
    inputs |= {name: row.astype(np.float32) for name, row in statistics.items()}
    inputs |= {"features": features[None], "mask": mask, "speaker": np.array([-1], np.int32)}
    inputs["functionals"] = functionals_layer(served.spec)(features[None], mask=mask)
    tensors = {name: keras.ops.convert_to_tensor(values) for name, values in inputs.items()}
    outputs = model(tensors, training=False)
    return {name: keras.ops.convert_to_numpy(values)[0] for name, values in outputs.items()}


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return powers / powers.sum()


def changed(name, change):
    """Returns the function that changes a copy of one input."""

    def apply(statistics):
        row = statistics[name].copy()
        return {**statistics, name: change(row)}

    return apply


def put(column, value):
    def change(row):
        row[0, column] = value
        return row

    return change


# What can be wrong with statistics: (a function that spoils them, part of the refusal).
BAD = {
    "NaN": (changed("frame_statistics", put(5, np.nan)), "frame_statistics has NaN or infinite"),
    "infinite": (
        changed("embedding_statistics", put(1, np.inf)),
        "embedding_statistics has NaN or infinite",
    ),
    "zero count": (
        changed("functional_statistics", np.zeros_like),
        "functional_statistics has a count below 1, so nothing is known of the speaker",
    ),
    "negative variance": (
        changed("frame_statistics", put(-1, -3.0)),
        "frame_statistics has a mean of squares below the squared mean, a negative variance",
    ),
    "wrong length": (
        changed("frame_statistics", lambda row: row[:, :-2]),
        "frame_statistics has 149 values, expected 151: count, 75 means and 75 means of squares",
    ),
    "wrong rows": (
        changed("embedding_statistics", lambda row: np.repeat(row, 2, axis=0)),
        "embedding_statistics has 2 rows, expected one for each waveform, of which there are 1",
    ),
    "another export's": (
        changed("export_id", lambda number: number + 1),
        "the statistics are those of another model. Enrol the speaker with this one",
    ),
}
