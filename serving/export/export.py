"""A trained fold -> a checked, published SavedModel that takes raw speech."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ser_keras import metrics
from ser_keras.audio import read_audio
from ser_keras.corpora import read_corpus
from ser_keras.data.feature_set import FeatureSet
from ser_keras.data.part import UNLABELLED, FoldPart
from ser_keras.data.segments import Segments
from ser_keras.errors import ConfigError, ExportError, SchemaError, unknown_name
from ser_keras.experiments.calibration import temperature_of
from ser_keras.features.specs import spec_from_dict
from ser_keras.models import load_model
from ser_keras.protocols import Protocol
from serving.export.layout import new_version
from serving.export.map_geometry import map_geometry
from serving.export.model_card import model_card
from serving.export.signatures import Served, ServedModule, is_not_gradient_warning
from serving.export.warmup import warmup_inputs, write_warmup

FEATURES_TOLERANCE = 1e-3
SAME_INPUT_TOLERANCE = 1e-5
WAVEFORM_TOLERANCE = 1e-4
FOREIGN_OPS = ("PyFunc", "EagerPyFunc", "PyFuncStateless", "IO>")


@dataclass(frozen=True)
class TrainedModel:
    """What a run says of one of its folds. Made by `open_run`.

    Args:
        record: mapping. The fold's `fold.json`.
        protocol: the run's folds.
        feature_set: the features that it was trained on.
        model: keras.Model.
        result: mapping. The run's `result.json`, empty where it has none yet.
        calibration: mapping. See `ser_keras.experiments.calibration.temperature_of`.
    """

    record: dict[str, Any]
    protocol: Protocol
    feature_set: FeatureSet
    model: keras.Model
    result: dict[str, Any]
    calibration: dict[str, Any]

    @property
    def served(self) -> Served:
        """What there is to export."""
        batch = self.record["config"]["batch"]
        return Served(
            self.model,
            spec_from_dict(self.feature_set.schema.spec),
            self.protocol.class_set.classes,
            Segments(batch["segment_frames"], batch["test_hop"]),
            self.calibration["temperature"],
        )

    @property
    def test_keys(self) -> tuple[str, ...]:
        """Utterances that the model has not seen."""
        return next(f.test for f in self.protocol.folds if f.name == self.record["fold"])


def open_run(run: Path, features: Path, fold: str | None = None) -> TrainedModel:
    """Returns the model of a fold and what is known of it.

    Args:
        run: folder of `ser train` or `ser crossval`.
        features: output folder of `ser features`.
        fold: which fold's model; may be left out where there is one.

    Raises:
        ConfigError: not a run, or an unknown or ambiguous fold.
        SchemaError: features of another spec, or a temperature of other weights.
    """
    names = sorted(path.parent.name for path in run.glob("folds/*/fold.json"))
    if not names:
        raise ConfigError(
            f"{run}: found no trained fold, expected folds/<name>/fold.json. Give the --output "
            "folder of ser train or ser crossval."
        )
    if fold is None and len(names) > 1:
        raise ConfigError(f"{run}: has folds {', '.join(names)}; say which with --fold.")
    fold = fold or names[0]
    if fold not in names:
        raise ConfigError(unknown_name("trained fold", fold, names))
    folder = run / "folds" / fold
    record = json.loads((folder / "fold.json").read_text(encoding="utf-8"))
    feature_set = FeatureSet.open(features)
    found, expected = feature_set.schema.spec_name, record["config"]["spec"]
    if found != expected:
        raise SchemaError(
            f"{feature_set.path}: holds features {found!r}, the model was trained on {expected!r}. "
            "Give the --features of its training."
        )
    result = run / "result.json"
    return TrainedModel(
        record,
        Protocol.load(run / "protocol.json"),
        feature_set,
        load_model(folder / "model.keras", record["config"]["model"]["name"]),
        json.loads(result.read_text(encoding="utf-8")) if result.exists() else {},
        temperature_of(run, record),
    )


def export_model(
    trained: TrainedModel,
    data_dir: Path,
    base: Path,
    *,
    name: str | None = None,
    version: int | None = None,
) -> Path:
    """Writes, checks and publishes `<base>/<name>/<version>`; returns that folder.

    Args:
        trained: of `open_run`.
        data_dir: the corpus; three of the fold's test recordings are served as a check.
        base: folder of the server's models.
        name: what the server calls the model; the system's name when left out.
        version: int. The next free one when left out.

    Raises:
        ExportError: the served model is not the trained one: weights that are not finite, features
            that are not those of the feature job, other probabilities, or operations that a stock
            server does not have. Nothing is published.
        ConfigError: the version exists.
    """
    served = trained.served
    name = name or served.model.name
    with new_version(base / name, version) as (staged, final):
        _finite(served.model)
        write_export(served, staged, name)
        _core_operations(staged)
        differences = check(staged, trained, data_dir)
        about = describe(trained, name, differences)
        extra = staged / "assets.extra"
        (extra / "model.json").write_text(f"{json.dumps(about, indent=1)}\n", encoding="utf-8")
        (extra / "model_card.md").write_text(model_card(about), encoding="utf-8")
    return final


def write_export(served: Served, folder: Path, name: str) -> None:
    """Writes the SavedModel with all its signatures and their warm-up requests, unchecked.

    Args:
        served: what is exported.
        folder: of the version.
        name: what the server calls the model.
    """
    logging.getLogger("absl").addFilter(is_not_gradient_warning)
    module = ServedModule(served)
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module.trackable(), str(folder), module.signatures(), options)
    step = module.stream.step.input if module.stream is not None else {}
    stream = {name: (tuple(tensor.shape[1:]), tensor.dtype) for name, tensor in step.items()}
    inputs = warmup_inputs(module.spec.sample_rate_hz, module.spec.dim, stream)
    write_warmup(folder, name, inputs)


def describe(
    trained: TrainedModel, name: str, differences: dict[str, dict[str, float]]
) -> dict[str, Any]:
    """Returns everything a user of the export must know, as plain values."""
    served, record, result = trained.served, trained.record, trained.result
    return {
        "name": name,
        "model": served.model.name,
        "classes": list(served.classes),
        "sample_rate_hz": served.spec.sample_rate_hz,
        "spec": served.spec.to_dict(),
        "map_geometry": map_geometry(served.model).to_dict(),
        "streams": served.streams,
        "dataset": trained.feature_set.schema.name,
        "corpus": trained.feature_set.schema.corpus,
        "fold": record["fold"],
        "protocol": trained.protocol.name,
        "shares_speakers": trained.protocol.shares_speakers,
        "fold_scores": {"ua": record["ua"], "wa": record["wa"]},
        "pooled": result.get("pooled", {}),
        "calibration": trained.calibration,
        "sizes": record["sizes"],
        "parameters": record["parameters"],
        "weights_sha256": record["weights_sha256"],
        "config": record["config"],
        "versions": result.get("versions", {}),
        "checked": differences,
    }


# === Checks ===


def check(staged: Path, trained: TrainedModel, data_dir: Path) -> dict[str, dict[str, float]]:
    """Returns how far the export is from the trained model, by recording.

    The shortest, the median and the longest recording of the test part are served from the audio
    on disk and compared with the feature job's record and with Keras.

    Raises:
        ExportError: a difference is above its limit; says which, where and by how much.
        ConfigError: the recordings are not in `data_dir`.
    """
    signatures = tf.saved_model.load(str(staged)).signatures
    served = trained.served
    rate = served.spec.sample_rate_hz
    keys = _three(trained)
    corpus = trained.feature_set.schema.corpus
    paths = {u.key: u.path for u in read_corpus(corpus, data_dir, allow_partial=True)}
    if missing := [key for key in keys if key not in paths]:
        raise ConfigError(
            f"--data-dir {data_dir}: found no recording {missing[0]}, expected the corpus that the "
            f"features in {trained.feature_set.path} were made from."
        )
    recorded = {
        example["key"].decode(): example["features"]
        for example in FoldPart(
            trained.feature_set, dict.fromkeys(keys, UNLABELLED)
        ).utterances.as_numpy_iterator()
    }
    differences = {}
    for key in keys:
        features = recorded[key]
        expected = keras_probabilities(served, features)
        waveform = tf.constant(read_audio(paths[key], sample_rate_hz=rate)[None])
        heard = {"waveform": waveform, "length": tf.constant([waveform.shape[1]])}
        front = signatures["front_end"](**heard)["features"][0].numpy()
        given = {"features": tf.constant(features[None]), "frames": tf.constant([len(features)])}
        differences[key] = {
            "features": _distance(front, features),
            "probabilities from features": _distance(
                _said(signatures["features"], given), expected
            ),
            "probabilities from waveform": _distance(
                _said(signatures["serving_default"], heard), expected
            ),
        }
    _within(differences)
    return differences


def keras_probabilities(served: Served, features: np.ndarray) -> np.ndarray:
    """Returns what the Keras model says of one utterance, (K,): the mean over its segments.

    The temperature is that of the export.
    """
    size, hop = served.segments.frames or len(features), served.segments.hop
    last = max(0, len(features) - size)
    starts = [min(n * hop, last) for n in range(served.segments.count(len(features)))]
    pieces = [features[start:][:size] for start in starts]
    served.model.jit_compile = False  # XLA would compile it for every length
    said = []
    for piece in pieces:
        inputs = {"features": piece[None], "mask": np.ones((1, len(piece)), bool)}
        logits = keras.ops.convert_to_numpy(served.model.predict_on_batch(inputs)["logits"][0])
        powers = np.exp(logits.astype(np.float64) - logits.max())
        said.append(powers / powers.sum())
    return metrics.with_temperature(np.mean(said, axis=0)[None], served.temperature)[0]


def _three(trained: TrainedModel) -> Sequence[str]:
    rows = [row for row in trained.feature_set.rows if row.key in set(trained.test_keys)]
    rows.sort(key=lambda row: (row.frames, row.key))
    return [rows[place].key for place in (0, len(rows) // 2, len(rows) - 1)]


def _said(signature: Any, inputs: dict[str, tf.Tensor]) -> np.ndarray:
    return signature(**inputs)["probabilities"][0].numpy()


def _distance(found: np.ndarray, expected: np.ndarray) -> float:
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max())


def _within(differences: dict[str, dict[str, float]]) -> None:
    limits = {
        "features": FEATURES_TOLERANCE,
        "probabilities from features": SAME_INPUT_TOLERANCE,
        "probabilities from waveform": WAVEFORM_TOLERANCE,
    }
    for key, found in differences.items():
        for what, limit in limits.items():
            if not found[what] <= limit:
                raise ExportError(
                    f"{key}: served {what} are {found[what]:.2g} from those of training, expected "
                    f"at most {limit:g}. The export is not the trained model; nothing was "
                    "published. Make the features again with this version, train, and export."
                )


def _finite(model: keras.Model) -> None:
    for weight in model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            raise ExportError(
                f"{model.name}: weight {weight.path} has values that are not finite; nothing was "
                "published. Train again, with a smaller learning rate."
            )


def _core_operations(staged: Path) -> None:
    """Raises ExportError where a stock TensorFlow Serving would miss an operation."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((staged / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    foreign = {node.op for node in nodes if node.op.startswith(FOREIGN_OPS)}
    if compiled := any(f.attr["_XlaMustCompile"].b for f in graph.library.function):
        foreign.add("_XlaMustCompile")
    if foreign or compiled:
        raise ExportError(
            f"{staged.parent.name}: found {', '.join(sorted(foreign))} in the graph, expected "
            "TensorFlow's core operations alone; nothing was published."
        )
