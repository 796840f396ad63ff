import json
import shutil

import keras
import numpy as np
import pytest

from ser_keras.config import config_from_dict
from ser_keras.errors import ConfigError
from ser_keras.experiments.attention import sampling
from ser_keras.experiments.attention.sampling import sampled_by_emotion
from ser_keras.experiments.crossval import run_crossval
from ser_keras.experiments.evaluate import open_fold
from ser_keras.models.attention.emergent import PUBLISHED, compare_claims
from ser_keras.plots import sampled_input
from ser_keras.report.attention import describe_sampled
from tests.small_features import write_features

pytestmark = pytest.mark.slow

UNITS = {
    "recognition_units": 4,
    "generation_units": 4,
    "classification_units": 4,
    "latent_dim": 2,
}


def trained_once(feature_set, model):
    spec = feature_set.schema.spec_name
    return config_from_dict({"spec": spec, "epochs": 1, "select": "last", "model": model})


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """Output folder of the feature job: windows of half a second, as the system reads them."""
    return write_features(tmp_path_factory.mktemp("windows"), "mfcc40-windows-short", 2)


@pytest.fixture(scope="module")
def run(feature_set, protocol, tmp_path_factory):
    """Folder of a run of two folds, after one epoch each."""
    folder = tmp_path_factory.mktemp("sampled")
    config = trained_once(feature_set, {"name": "predictive_vrnn", "options": UNITS})
    names = [fold.name for fold in protocol.folds[:2]]
    run_crossval({"tiny": config}, feature_set, protocol, folder, folds=names)
    return folder


def test_shares_are_those_of_each_utterance_alone(run, features, feature_set, protocol):
    result = sampled_by_emotion(run, features)
    shares = {name: [] for name in result["classes"]}
    means = {name: [] for name in result["classes"]}
    for fold in protocol.folds[:2]:
        opened = open_fold(run, features, fold.name)
        for example in opened.part.utterances.as_numpy_iterator():
            values = example["features"][None]
            inputs = {"features": values, "mask": np.ones(values.shape[:2], bool)}
            attention = keras.ops.convert_to_numpy(opened.model(inputs)["attention"])[0]
            name = result["classes"][example["class"]]
            shares[name].append(attention[1:].mean())
            means[name].append(attention[1:])
    assert result["utterances"] == sum(map(len, shares.values())) > 0
    table = result["without_first_window"]
    for name, values in shares.items():
        assert table["share"][name] == pytest.approx(np.mean(values), abs=1e-3)
    first, second = (np.concatenate(means[name]).mean(axis=0) for name in result["classes"][:2])
    cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    assert table["similarity"][0][1] == pytest.approx(cosine, abs=1e-3)
    assert result["with_first_window"]["mean_share"] > table["mean_share"]


def test_the_result_is_json_a_table_and_a_picture(run, features, tmp_path):
    result = sampled_by_emotion(run, features)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    lines = describe_sampled(result).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [*result["classes"], "mean"]
    sampled_input(result, tmp_path / "one.svg")
    first = (tmp_path / "one.svg").read_bytes()
    sampled_input(result, tmp_path / "one.svg")
    assert (tmp_path / "one.svg").read_bytes() == first
    for name in result["classes"]:
        assert name.encode() in first


def test_the_command_draws_into_the_run_and_beside_the_results(run, features, tmp_path, ser):
    copy = shutil.copytree(run, tmp_path / "run")
    code, out, _ = ser("sampled", copy, "--features", features)
    assert code == 0, out
    assert f"picture: {copy / 'sampled.svg'}" in out
    stored = json.loads((copy / "sampled.json").read_text())
    assert stored == sampled_by_emotion(run, features)
    assert (copy / "sampled.svg").read_text().count("<svg") == 1
    code, out, _ = ser("sampled", copy, "--features", features, "--results", tmp_path / "kept")
    folder, name = tmp_path / "kept" / "sampled" / stored["dataset"], stored["spec"]
    assert {path for path in (tmp_path / "kept").rglob("*") if path.is_file()} == {
        folder / f"{name}.json",
        folder / f"{name}.svg",
    }


def test_a_corpus_of_the_paper_gets_its_printed_values(run, features, monkeypatch):
    monkeypatch.setattr(sampling, "PUBLISHED", {"synthetic": PUBLISHED["iemocap"]})
    scored = []
    result = sampled_by_emotion(run, features, scored.append)
    assert scored == result["folds"]
    assert result["published"]["share"]["neutral"] == 0.471
    assert result["published"]["mean_share"] == 0.452
    for key in ("with_first_window", "without_first_window"):
        claims = compare_claims(PUBLISHED["iemocap"], result["classes"], result[key])
        assert result[key]["claims"] == claims
        assert len(claims) == 2
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_systems_that_do_not_sample_are_refused(feature_set, features, protocol, tmp_path):
    fold = protocol.folds[0].name
    config = trained_once(feature_set, {"name": "sparse_autoencoder"})
    run_crossval({"tiny": config}, feature_set, protocol, tmp_path, folds=[fold])
    with pytest.raises(ConfigError, match="run of sparse_autoencoder, expected one of"):
        sampled_by_emotion(tmp_path, features)
