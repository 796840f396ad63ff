"""Signatures of an ensemble of small models with random weights, against each model by itself."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from ser_keras import metrics
from serving.export.ensembles.signatures import EnsembleModule, ServedEnsemble
from serving.export.signatures import ServedModule
from serving.export.trust.hashes import write_hashes
from tests.serving import exports

WEIGHTS = (0.5, 0.3, 0.2)
AUDIO = exports.batch(exports.clips(2, least=16000))


@pytest.fixture(scope="module")
def models():
    """Two models of the same features, and one of others, tested on segments."""
    return [exports.small("moma", 0), exports.small("moma", 1), exports.small("attention_cnn")]


def run(signatures, name, inputs):
    values = {key: tf.constant(value) for key, value in inputs.items()}
    return {key: value.numpy() for key, value in signatures[name](**values).items()}


@pytest.mark.parametrize("temperature", [pytest.param(1.0, marks=pytest.mark.slow), 2.5])
def test_the_answer_is_the_weighted_mean_of_the_members_answers(models, temperature):
    signatures = EnsembleModule(ServedEnsemble(models, WEIGHTS, temperature)).signatures()
    alone = [
        run(ServedModule(model).signatures(), "serving_default", AUDIO)["probabilities"]
        for model in models
    ]
    mean = np.zeros(alone[0].shape)
    for weight, probabilities in zip(WEIGHTS, alone, strict=True):
        mean += weight * probabilities.astype(np.float64)
    expected = metrics.with_temperature(mean, temperature)
    for signature in ("serving_default", "explain"):
        outputs = run(signatures, signature, AUDIO)
        np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-6)
        names = [exports.CLASSES[index].encode() for index in expected.argmax(axis=1)]
        assert outputs["label"].tolist() == names


def test_maps_and_features_are_those_of_the_first_member(models):
    signatures = EnsembleModule(ServedEnsemble(models, WEIGHTS)).signatures()
    first = ServedModule(models[0]).signatures()
    maps, expected = run(signatures, "explain", AUDIO), run(first, "explain", AUDIO)
    for name in expected.keys() - {"probabilities", "label", "classes"}:
        np.testing.assert_allclose(maps[name], expected[name], atol=1e-5)
    for name, values in run(signatures, "front_end", AUDIO).items():
        np.testing.assert_allclose(values, run(first, "front_end", AUDIO)[name], atol=1e-5)


def test_only_members_of_the_same_features_answer_to_features(models):
    assert "features" not in EnsembleModule(ServedEnsemble(models, WEIGHTS)).signatures()
    same = EnsembleModule(ServedEnsemble(models[:2], WEIGHTS[:2]))
    signatures = same.signatures()
    features = run(signatures, "front_end", AUDIO)
    from_features = run(signatures, "features", features)["probabilities"]
    from_waveform = run(signatures, "serving_default", AUDIO)["probabilities"]
    np.testing.assert_allclose(from_features, from_waveform, atol=1e-6)


def test_members_of_the_same_features_share_the_front_end(models, monkeypatch):
    module = EnsembleModule(ServedEnsemble(models, WEIGHTS))
    calls = []
    for number, member in enumerate(module.members):
        original = member.front_end

        def counted(waveform, length, number=number, original=original):
            calls.append(number)
            return original(waveform, length)

        monkeypatch.setattr(member, "front_end", counted)
    module.features_of_all(*map(tf.constant, AUDIO.values()))
    assert calls == [0, 2]


def test_a_predictive_vrnn_does_not_lead_and_nothing_streams(models):
    vrnn = exports.small("predictive_vrnn")
    assert vrnn.streams
    served = ServedEnsemble([vrnn, models[0]], (1, 1))
    assert served.leader is models[0]
    assert not {"stream", "stream_front_end"} & set(EnsembleModule(served).signatures())


def test_requests_that_a_member_would_refuse_are_refused(models):
    signatures = EnsembleModule(ServedEnsemble(models, WEIGHTS)).signatures()
    wrong = AUDIO | {"length": np.array([0, 5], np.int32)}
    with pytest.raises(tf.errors.InvalidArgumentError, match="length must be 1 or more"):
        run(signatures, "serving_default", wrong)
    nan = AUDIO | {"waveform": np.full_like(AUDIO["waveform"], np.nan)}
    with pytest.raises(tf.errors.InvalidArgumentError, match="NaN or infinite samples"):
        run(signatures, "serving_default", nan)


@pytest.mark.slow
def test_a_stock_loader_serves_it(models, tmp_path):
    from serving.export.checks import check_operations
    from serving.export.ensembles.export import write_ensemble
    from serving.server.session import LoadedModel

    served = ServedEnsemble([replace(model) for model in models], WEIGHTS)
    write_ensemble(served, tmp_path / "e" / "1", "e")
    write_hashes(tmp_path / "e" / "1")
    check_operations(tmp_path / "e" / "1")
    loaded = LoadedModel(tmp_path / "e" / "1")
    expected = run(EnsembleModule(served).signatures(), "serving_default", AUDIO)
    outputs = loaded.run("serving_default", AUDIO)
    np.testing.assert_allclose(outputs["probabilities"], expected["probabilities"], atol=1e-5)
    loaded.close()
