"""The signatures of the adapted track: their statistics, their answers, their refusals."""

from dataclasses import replace

import numpy as np
import pytest

from ser_keras.features.extract import extract
from serving.export.speaker_signatures import export_id_of
from serving.server.errors import RequestError
from serving.server.session import LoadedModel
from tests.serving import adapted, exports

pytestmark = pytest.mark.slow

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def served(adapted_server):
    return adapted_server[0]


@pytest.fixture(scope="module")
def model(adapted_server):
    _, server = adapted_server
    with server.manager.lend("adapted", None, None) as (loaded, _):
        yield loaded


@pytest.fixture(scope="module")
def waveforms():
    return exports.clips(3, seed=4, least=9000, most=30000)


@pytest.fixture(scope="module")
def recordings(served, waveforms):
    return [extract(served.spec, waveform) for waveform in waveforms]


@pytest.fixture(scope="module")
def statistics(served, recordings):
    return adapted.inputs_of(served, recordings)


def repeated(statistics, rows):
    return {name: np.repeat(row, rows, axis=0) for name, row in statistics.items()}


def test_without_statistics_every_signature_answers_as_the_blind_track(
    served, model, waveforms, recordings
):
    expected = [
        adapted.softmax(adapted.keras_outputs(served, features, {})["logits"])
        for features in recordings
    ]
    for signature in ("serving_default", "explain"):
        outputs = model.run(signature, exports.batch(waveforms, fill=0.3))
        np.testing.assert_allclose(outputs["probabilities"], expected, atol=TOLERANCE)
    features = {"features": recordings[0][None], "frames": np.array([len(recordings[0])], "i4")}
    outputs = model.run("features", features)
    np.testing.assert_allclose(outputs["probabilities"], expected[:1], atol=TOLERANCE)


def test_enrolment_is_the_merged_statistics_of_all_recordings(model, waveforms, statistics):
    outputs = model.run("enrol", exports.batch(waveforms, fill=0.3))
    assert set(outputs["export_id"]) == set(statistics["export_id"])
    for name in ("frame_statistics", "functional_statistics"):
        assert outputs[name].dtype == np.float32
        counts = outputs[name][:, :1].astype(np.float64)
        merged = (counts * outputs[name]).sum(axis=0) / counts.sum()
        merged[0] = counts.sum()
        np.testing.assert_allclose(merged, statistics[name][0], rtol=1e-4, atol=1e-4)
    first = {name: row for name, row in statistics.items() if name != "embedding_statistics"}
    request = exports.batch(waveforms) | repeated(first, len(waveforms))
    (embedding,) = model.run("enrol_embedding", request).values()
    np.testing.assert_array_equal(embedding[:, 0], 1.0)
    mean = embedding.mean(axis=0)
    expected = statistics["embedding_statistics"][0]
    np.testing.assert_allclose(mean[1:], expected[1:], rtol=1e-3, atol=1e-4)


def test_adapted_answers_are_those_of_keras_with_the_speakers_statistics(
    served, model, waveforms, recordings, statistics
):
    known = {name: row for name, row in statistics.items() if name != "export_id"}
    expected = [
        adapted.softmax(adapted.keras_outputs(served, features, known)["logits"])
        for features in recordings
    ]
    request = exports.batch(waveforms, fill=0.3)
    outputs = model.run("adapted", request | repeated(statistics, len(waveforms)))
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=TOLERANCE)
    assert outputs["track"].tolist() == [b"adapted"] * len(waveforms)
    blind = model.run("serving_default", request)
    assert set(outputs) == set(blind) | {"track"}
    assert np.abs(outputs["probabilities"] - blind["probabilities"]).max() > 1e-2


def test_too_little_speech_gets_the_blind_answer_in_its_own_row_alone(
    served, model, waveforms, statistics
):
    request = exports.batch(waveforms[:2]) | repeated(statistics, 2)
    fewest = served.spec.num_frames(round(adapted.LEAST_S * exports.RATE))
    request["frame_statistics"][:, 0] = [fewest - 1, fewest]
    outputs = model.run("adapted", request)
    assert outputs["track"].tolist() == [b"blind", b"adapted"]
    blind = model.run("serving_default", exports.batch(waveforms[:2]))["probabilities"]
    np.testing.assert_allclose(outputs["probabilities"][0], blind[0], atol=1e-6)
    assert np.abs(outputs["probabilities"][1] - blind[1]).max() > 1e-3


@pytest.mark.parametrize("fault", adapted.BAD)
def test_bad_statistics_are_refused_with_a_sentence(fault, model, waveforms, statistics):
    change, message = adapted.BAD[fault]
    request = exports.batch(waveforms[:1]) | change(statistics)
    with pytest.raises(RequestError) as refused:
        model.run("adapted", request)
    assert refused.value.code.name == "INVALID_ARGUMENT"
    assert message in refused.value.message


def test_the_first_of_several_faults_is_named(model, waveforms, statistics):
    request = exports.batch(waveforms[:1]) | statistics
    for fault in ("NaN", "wrong length", "zero count", "another export's"):
        request = adapted.BAD[fault][0](request)
    for _ in range(5):
        with pytest.raises(RequestError, match="another model"):
            model.run("adapted", request)


def test_the_second_pass_refuses_bad_statistics_too(model, waveforms, statistics):
    request = exports.batch(waveforms[:1]) | statistics
    request["frame_statistics"] = np.zeros_like(request["frame_statistics"])
    del request["embedding_statistics"]
    with pytest.raises(RequestError, match="frame_statistics has a count below 1"):
        model.run("enrol_embedding", request)


def test_statistics_belong_to_the_weights_and_the_features(served):
    other = adapted.small(seed=1)
    numbers = {
        export_id_of(served.model, served.spec),
        export_id_of(other.model, served.spec),
        export_id_of(served.model, replace(served.spec, trim_db=40.0)),
    }
    assert len(numbers) == 3
    assert export_id_of(adapted.small().model, served.spec) in numbers
    assert max(numbers) < 2**53


def test_a_model_of_the_blind_track_has_no_signatures_of_the_other(tmp_path):
    served = adapted.small(tracks=("blind",))
    version = exports.publish(served, tmp_path / "blind")
    loaded = LoadedModel(version)
    assert not {"enrol", "enrol_embedding", "adapted"} & set(loaded.signatures)
    loaded.close()


def test_a_model_that_classifies_whole_utterances_of_a_speaker_does_not_stream(tmp_path):
    served = adapted.small("predictive_vrnn")
    assert not served.streams
    version = exports.publish(served, tmp_path / "predictive_vrnn")
    loaded = LoadedModel(version)
    assert "adapted" in loaded.signatures
    assert not {"stream", "stream_front_end"} & set(loaded.signatures)
    loaded.close()
