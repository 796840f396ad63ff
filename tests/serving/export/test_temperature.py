"""Probabilities of an export with a temperature, and answers that may be `uncertain`."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from ser_keras import metrics
from serving.client.client import SerClient
from serving.client.prediction import UNCERTAIN, Prediction
from serving.export.checks import keras_probabilities
from serving.export.model_card import model_card
from serving.export.signatures import ServedModule
from serving.server.config_files import ModelEntry
from serving.server.server import Server, ServerOptions
from tests.serving import exports

TEMPERATURE = 2.5
AUDIO = exports.batch(exports.clips(2, least=16000))


def run(signatures, name, inputs):
    values = {key: tf.constant(value) for key, value in inputs.items()}
    return {key: value.numpy() for key, value in signatures[name](**values).items()}


@pytest.mark.parametrize(
    "name",
    ["moma", pytest.param("attention_cnn", marks=pytest.mark.slow)],
    ids=["whole utterances", "the mean over segments"],
)
def test_every_answer_has_the_temperature_and_the_same_label(name):
    plain = exports.small(name)
    cooled = replace(plain, temperature=TEMPERATURE)
    before, after = (ServedModule(served).signatures() for served in (plain, cooled))
    front_end = run(before, "front_end", AUDIO)
    features = {"features": front_end["features"], "frames": front_end["frames"]}
    for signature, inputs in (
        ("serving_default", AUDIO),
        ("explain", AUDIO),
        ("features", features),
    ):
        without, scaled = (run(signatures, signature, inputs) for signatures in (before, after))
        expected = metrics.with_temperature(without["probabilities"], TEMPERATURE)
        np.testing.assert_allclose(scaled["probabilities"], expected, atol=1e-6)
        np.testing.assert_array_equal(scaled["label"], without["label"])
        assert np.abs(scaled["probabilities"] - without["probabilities"]).max() > 1e-4


def test_the_check_at_export_compares_with_the_same_temperature():
    served = replace(exports.small("moma"), temperature=TEMPERATURE)
    signatures = ServedModule(served).signatures()
    front_end = run(signatures, "front_end", AUDIO)
    probabilities = run(signatures, "serving_default", AUDIO)["probabilities"][0]
    expected = keras_probabilities(served, front_end["features"][0][: front_end["frames"][0]])
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    uncalibrated = keras_probabilities(replace(served, temperature=1.0), front_end["features"][0])
    assert np.abs(probabilities - uncalibrated).max() > 1e-4


@pytest.mark.slow
def test_a_stream_has_the_temperature_and_the_same_states():
    plain = exports.small("predictive_vrnn")
    cooled = replace(plain, temperature=TEMPERATURE)
    rng = np.random.default_rng(0)
    steps = [ServedModule(served).signatures()["stream"] for served in (plain, cooled)]
    inputs = {
        name: tf.constant(rng.normal(size=(2, *spec.shape[1:])), tf.float32)
        for name, spec in steps[0].structured_input_signature[1].items()
    }
    without, scaled = (step(**inputs) for step in steps)
    expected = metrics.with_temperature(without["probabilities"].numpy(), TEMPERATURE)
    np.testing.assert_allclose(scaled["probabilities"], expected, atol=1e-6)
    for name in set(without) - {"probabilities"}:
        np.testing.assert_array_equal(without[name], scaled[name])


ABOUT = {
    "name": "mine",
    "model": "moma",
    "parameters": 1,
    "classes": ["sad"],
    "sample_rate_hz": 16000,
    "corpus": "synthetic",
    "dataset": "synthetic",
    "fold": "speaker-s01",
    "protocol": "synthetic-loso",
    "shares_speakers": False,
    "sizes": {"train": 3, "test": 1},
    "fold_scores": {"ua": 0.5, "wa": 0.5},
    "pooled": {},
    "checked": {},
    "versions": {},
    "weights_sha256": "0",
}


def test_the_model_card_says_the_temperature_and_what_it_was_fitted_on():
    fitted = {"temperature": 1.8, "fitted_on": "validation part, 9 utterances"}
    card = model_card(ABOUT | {"calibration": fitted})
    assert "T = 1.80, fitted on: validation part, 9 utterances" in card
    card = model_card(ABOUT | {"calibration": {"temperature": 1.0, "fitted_on": ""}})
    assert "Its probabilities are not calibrated." in card


def test_an_answer_below_the_limit_is_uncertain():
    prediction = Prediction("sad", {"angry": 0.4, "sad": 0.6}, {}, 1, 0.0, 1.0)
    assert [prediction.answer(limit) for limit in (0.0, 0.6, 0.61)] == ["sad", "sad", UNCERTAIN]


def test_the_command_says_uncertain_in_both_of_its_formats(ser, server, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, exports.clips(1)[0], exports.RATE)
    line = ["predict", path, "--server", f"localhost:{server.port}", "--model", "moma"]
    code, out, _ = ser(*line, "--uncertain-below", "1")
    assert code == 0
    assert " s: uncertain: " in out
    assert "uncertain" not in ser(*line)[1]
    answer = json.loads(ser(*line, "--json", "--uncertain-below", "1")[1])
    assert answer["label"] == UNCERTAIN
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert json.loads(ser(*line, "--json")[1])["label"] != UNCERTAIN
    assert ser(*line, "--uncertain-below", "1.5")[0] == 2


@pytest.mark.slow
def test_a_server_answers_with_the_temperature_of_the_export(tmp_path):
    served = replace(exports.small("moma"), temperature=TEMPERATURE)
    exports.publish(served, tmp_path / "moma")
    server = Server([ModelEntry("moma", tmp_path / "moma")], ServerOptions(port=0, rest_port=0))
    server.start()
    try:
        with SerClient(f"localhost:{server.port}", "moma") as client:
            outputs, _ = client.ask(AUDIO)
    finally:
        server.stop()
    expected = run(ServedModule(served).signatures(), "serving_default", AUDIO)
    np.testing.assert_allclose(outputs["probabilities"], expected["probabilities"], atol=1e-6)


def test_the_model_card_says_what_was_known_of_the_test_speakers():
    plain = ABOUT | {"calibration": {"temperature": 1.0, "fitted_on": ""}}
    assert "Track blind: nothing was known of a test speaker." in model_card(plain)
    assert "Track adapted" not in model_card(plain)
    scores = {"adapted": {"ua": 0.75, "wa": 0.5}, "blind": {"ua": 0.5, "wa": 0.5}}
    card = model_card(
        plain
        | {"track": "adapted", "tracks": ["blind", "adapted"], "track_scores": scores}
        | {"test_speakers": ["s01", "s02"], "not_adapted": ["synthetic/s02"]}
        | {"config": {"adaptation": {"least_s": 2.0}}}
    )
    assert "Track blind: nothing was known of a test speaker." in card
    assert "unlabelled recordings of a test speaker were known, and no label. 1 of 2" in card
    assert "less than 2 s of speech and got the blind answer (synthetic/s02)" in card
