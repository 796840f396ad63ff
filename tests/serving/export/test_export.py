"""From a run on disk to a published export, and what is refused on the way."""

import json

import numpy as np
import pytest
import tensorflow as tf

from pipeline.features.job import build_feature_set
from ser_keras.config import config_from_dict
from ser_keras.corpora.synthetic import write_corpus
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, ExportError, SchemaError
from ser_keras.experiments.calibration import calibrate_run
from ser_keras.experiments.crossval import run_crossval
from ser_keras.features.specs import get_spec
from ser_keras.protocols import build_protocol
from serving.export.export import export_model
from serving.export.layout import versions
from serving.export.trained_model import open_run
from serving.export.trust.hashes import SUMS
from serving.server.session import LoadedModel
from tests.serving import exports

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(run of one fold, its features, the corpus)."""
    root = tmp_path_factory.mktemp("export")
    corpus = write_corpus(root / "corpus", num_speakers=4, utterances_per_class=2, seed=0)
    build_feature_set("synthetic", corpus, get_spec("logmel23", trim_db=40), root / "features")
    feature_set = FeatureSet.open(root / "features")
    protocol = build_protocol("synthetic-loso", feature_set.rows)
    model = {"name": "moma", "options": exports.SYSTEMS["moma"][1]}
    config = {"spec": "logmel23", "epochs": 1, "select": "last", "model": model}
    fold = protocol.folds[0].name
    run_crossval(
        {"tiny": config_from_dict(config)}, feature_set, protocol, root / "run", folds=[fold]
    )
    return root / "run", root / "features", corpus


def test_an_export_is_checked_published_and_described(trained, tmp_path):
    run, features, corpus = trained
    opened = open_run(run, features)
    folder = export_model(opened, corpus, tmp_path, name="mine")
    assert folder == tmp_path / "mine" / "1"
    about = json.loads((folder / "assets.extra" / "model.json").read_text())
    assert about["classes"] == list(opened.protocol.class_set.classes)
    assert len(about["checked"]) == 3
    assert set(about["checked"]) <= set(opened.checked_keys)
    card = (folder / "assets.extra" / "model_card.md").read_text()
    for part in ("not for decisions", "Licence", "speakers not shared", about["weights_sha256"]):
        assert part.lower() in card.lower()
    assert "assets.extra/model.json" in (folder / SUMS).read_text()
    model = LoadedModel(folder)
    outputs = model.run("serving_default", exports.batch(exports.clips(2)))
    assert outputs["classes"][0].tolist() == [name.encode() for name in about["classes"]]
    model.close()
    export_model(opened, corpus, tmp_path, name="mine")
    assert versions(tmp_path / "mine") == [1, 2]


def test_a_calibrated_run_is_exported_with_its_temperature(trained, tmp_path):
    run, features, corpus = trained
    plain = open_run(run, features)
    fitted = calibrate_run(run, plain.feature_set)["folds"][plain.record["fold"]]
    opened = open_run(run, features)
    assert (plain.served.temperature, opened.served.temperature) == (1.0, fitted["temperature"])
    folder = export_model(opened, corpus, tmp_path)
    about = json.loads((folder / "assets.extra" / "model.json").read_text())
    assert about["calibration"]["temperature"] == fitted["temperature"]
    card = (folder / "assets.extra" / "model_card.md").read_text()
    assert f"T = {fitted['temperature']:.2f}, fitted on: {fitted['fitted_on']}" in card
    (run / "calibration.json").unlink()


def test_a_model_that_is_not_the_trained_one_is_not_published(trained, tmp_path, monkeypatch):
    run, features, corpus = trained
    opened = open_run(run, features)
    weight = opened.model.trainable_weights[0]
    before = np.array(weight)
    weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(ExportError, match="values that are not finite; nothing was published"):
        export_model(opened, corpus, tmp_path)
    weight.assign(before)
    opened.feature_set.schema.spec["floor"] = 1e-2
    with pytest.raises(ExportError, match=r"served features are .* nothing was"):
        export_model(opened, corpus, tmp_path)
    opened.feature_set.schema.spec["floor"] = 1e-6
    monkeypatch.setattr(tf.nn, "softmax", lambda logits: tf.math.softmax(2.0 * logits))
    with pytest.raises(ExportError, match="served probabilities from features are"):
        export_model(opened, corpus, tmp_path)
    assert versions(tmp_path / "moma") == []
    assert list((tmp_path / "moma").iterdir()) == []


def test_operations_that_a_stock_server_lacks_are_refused(trained, tmp_path, monkeypatch):
    run, features, corpus = trained

    def called_back(logits):
        return tf.ensure_shape(tf.numpy_function(lambda x: x, [logits], tf.float32), (None, None))

    monkeypatch.setattr(tf.nn, "softmax", called_back)
    with pytest.raises(ExportError, match="found PyFunc in the graph"):
        export_model(open_run(run, features), corpus, tmp_path)


def test_what_does_not_belong_together_is_a_sentence(trained, tmp_path):
    run, features, corpus = trained
    with pytest.raises(ConfigError, match="found no trained fold"):
        open_run(tmp_path, features)
    with pytest.raises(ConfigError, match="unknown trained fold 'x'"):
        open_run(run, features, "x")
    build_feature_set("synthetic", corpus, get_spec("logmel40"), tmp_path / "other")
    with pytest.raises(SchemaError, match="holds features 'logmel40', the model was trained on"):
        open_run(run, tmp_path / "other")
    less = write_corpus(tmp_path / "less", num_speakers=1, utterances_per_class=1, seed=5)
    with pytest.raises(ConfigError, match="found no recording"):
        export_model(open_run(run, features), less, tmp_path)
