"""Which frames attention prefers, against the definition, one utterance at a time."""

import json

import keras
import numpy as np
import pytest

from ser_keras.adaptation.speakers import Enroller
from ser_keras.config import config_from_dict
from ser_keras.errors import ConfigError
from ser_keras.experiments.attention import attended_contours
from ser_keras.experiments.attention.contours import preference
from ser_keras.experiments.crossval import run_crossval
from ser_keras.experiments.evaluate import open_fold
from ser_keras.features.kinds.prosody import PROSODY_NAMES
from ser_keras.plots import attended_frames
from ser_keras.report.attention import describe_attended
from ser_keras.report.results_folder import KINDS, read_results
from ser_keras.report.sections import sections_of


def test_even_attention_prefers_nothing_and_a_peak_its_frames():
    contours = np.random.default_rng(0).normal(size=(12, 3))
    np.testing.assert_allclose(preference(contours, np.full(4, 0.25)), 0, atol=1e-12)
    peak = np.array([0.0, 1.0, 0.0, 0.0])  # of frames 3, 4 and 5
    expected = (contours[3:6].mean(axis=0) - contours.mean(axis=0)) / contours.std(axis=0)
    np.testing.assert_allclose(preference(contours, peak), expected)


def test_the_last_column_may_have_fewer_frames():
    contours = np.arange(5.0)[:, None]
    attention = np.array([0.0, 0.0, 1.0])  # two frames a column, and the fifth alone
    np.testing.assert_allclose(preference(contours, attention), (4 - 2) / np.std(range(5)))


def test_a_contour_that_does_not_vary_has_no_preference():
    assert np.isnan(preference(np.ones((4, 1)), np.array([1.0, 0.0]))).all()


@pytest.fixture(scope="module")
def result(pool):
    return attended_contours(pool.runs[0], pool.sets[0].path)


@pytest.mark.slow
def test_preferences_are_those_of_each_utterance_alone(pool, result):
    run, features = pool.runs[0], pool.sets[0].path
    fold_names = sorted(path.name for path in (run / "folds").iterdir())
    preferences, classes = [], []
    for name in fold_names:
        opened = open_fold(run, features, name)
        enrolment = Enroller(opened.model, opened.part).enrolled(least_s=1.0)
        for example in opened.part.utterances.as_numpy_iterator():
            values = example["features"]
            inputs = {"features": values[None], "mask": np.ones((1, len(values)), bool)}
            inputs |= enrolment.inputs([example["key"].decode()])
            attention = keras.ops.convert_to_numpy(opened.model(inputs)["attention"])[0]
            frames = np.repeat(attention, -(-len(values) // len(attention)))[: len(values)]
            # Every frame of a column has the column's weight by its number of frames.
            numbers = np.arange(len(values)) // -(-len(values) // len(attention))
            frames = frames / np.bincount(numbers)[numbers]
            contour = values[:, 64 + PROSODY_NAMES.index("log energy")].astype(float)
            preferences.append((frames @ contour - contour.mean()) / contour.std())
            classes.append(example["class"])
    energy = result["contours"]["log energy"]
    assert result["utterances"] == len(preferences)
    assert energy["all"]["mean"] == pytest.approx(np.mean(preferences), abs=2e-3)
    first = np.asarray(preferences)[np.equal(classes, 0)]
    name = result["class_set"]["classes"][0]
    assert energy[name]["mean"] == pytest.approx(first.mean(), abs=2e-3)
    low, high = energy["all"]["interval"]
    assert low <= energy["all"]["mean"] <= high


@pytest.mark.slow
def test_the_command_writes_result_and_picture_and_the_page_its_table(pool, result, tmp_path, ser):
    code, out, _ = ser(
        *("attended", pool.runs[0], "--features", pool.sets[0].path),
        *("--results", tmp_path / "results"),
    )
    assert code == 0, out
    [path] = (tmp_path / "results").rglob("*.json")
    assert path.parent.parent.name == "synthetic"
    assert json.loads(path.read_text(encoding="utf-8")) == result
    assert set(result) >= KINDS["attended"].keys
    table = sections_of(read_results(tmp_path / "results"))["attended"]
    assert table == describe_attended(result)
    attended_frames(result, tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_bytes() == path.with_suffix(".svg").read_bytes()


@pytest.mark.slow
def test_runs_without_prosody_or_without_weights_for_frames_are_refused(pool, tmp_path):
    with pytest.raises(ConfigError, match="logmel23, which has no pitch"):
        attended_contours(pool.runs[-1], pool.sets[1].path)
    recipe = {
        "spec": "mel64-prosody",
        "epochs": 1,
        "select": "last",
        "normalizer": "speaker",
        "adaptation": {"speakers": 2},
        "model": {
            "name": "functional_network",
            "options": {"speaker": {"functionals": 1243, "functional_units": 4}},
        },
    }
    fold = pool.protocol.folds[0].name
    config = config_from_dict(recipe)
    run_crossval({"x": config}, pool.sets[0], pool.protocol, tmp_path, folds=[fold])
    with pytest.raises(ConfigError, match="not one weight for each frame"):
        attended_contours(tmp_path, pool.sets[0].path)
