"""The client enrols a speaker over gRPC and asks with the statistics."""

import json

import numpy as np
import pytest
import soundfile

from ser_keras.features.extract import extract
from serving.client.client import SerClient
from serving.client.connection import ServerError
from serving.client.speaker_statistics import Statistics, StatisticsError
from tests.serving import adapted, exports

FIRST = ("frame_statistics", "functional_statistics")


@pytest.fixture(scope="module")
def waveforms():
    # More than one call's recordings.
    return exports.clips(9, seed=4, least=9000, most=20000)


@pytest.fixture(scope="module")
def client(adapted_server):
    _, server = adapted_server
    with SerClient(f"localhost:{server.port}", "adapted", timeout_s=120) as opened:
        yield opened


@pytest.fixture(scope="module")
def enrolled(client, waveforms):
    return client.enrol(waveforms)


@pytest.mark.slow
def test_enrolment_and_answers_are_those_of_keras(adapted_server, client, waveforms, enrolled):
    served, _ = adapted_server
    recordings = [extract(served.spec, waveform) for waveform in waveforms]
    expected = adapted.inputs_of(served, recordings)
    assert enrolled.export_id == expected.pop("export_id")
    for name, row in expected.items():
        np.testing.assert_allclose(enrolled.values[name], row[0], rtol=1e-3, atol=1e-4)
    outputs = adapted.keras_outputs(served, recordings[3], expected)
    prediction = client.predict(waveforms[3], statistics=enrolled)
    assert prediction.track == "adapted"
    np.testing.assert_allclose(
        list(prediction.probabilities.values()), adapted.softmax(outputs["logits"]), atol=1e-4
    )
    blind = client.predict(waveforms[3])
    assert blind.track == "blind"
    assert blind.probabilities != prediction.probabilities


@pytest.mark.slow
def test_enrolment_of_two_parts_merges_to_that_of_the_whole(client, waveforms, enrolled):
    first, second = client.enrol(waveforms[:4]), client.enrol(waveforms[4:])
    merged = first.merged(second)
    added = client.enrol(waveforms[4:], known=first)
    for statistics in (merged, added):
        assert statistics.values.keys() == enrolled.values.keys()
        for name in FIRST:
            np.testing.assert_allclose(
                statistics.values[name], enrolled.values[name], rtol=1e-5, atol=1e-5
            )
        assert statistics.values["embedding_statistics"][0] == len(waveforms)


@pytest.mark.slow
def test_files_in_and_statistics_through_a_file(client, waveforms, enrolled, tmp_path):
    for number, waveform in enumerate(waveforms):
        soundfile.write(tmp_path / f"{number}.wav", waveform, exports.RATE, subtype="FLOAT")
    again = client.enrol(sorted(tmp_path.glob("*.wav")))
    for name, row in enrolled.values.items():
        np.testing.assert_allclose(again.values[name], row, rtol=1e-5, atol=1e-5)
    again.write(tmp_path / "anna.npz")
    read = Statistics.read(tmp_path / "anna.npz")
    predictions = client.predict_batch(waveforms[:2], statistics=read, maps=True)
    assert {prediction.track for prediction in predictions} == {"adapted"}
    assert set(predictions[0].maps) == {"attention"}


@pytest.mark.slow
def test_the_command_line_takes_a_file_of_statistics(
    adapted_server, client, waveforms, enrolled, ser, tmp_path
):
    _, server = adapted_server
    recording = tmp_path / "speech.wav"
    soundfile.write(recording, waveforms[0], exports.RATE, subtype="FLOAT")
    enrolled.write(tmp_path / "anna.npz")
    command = ["predict", recording, "--server", f"localhost:{server.port}", "--model", "adapted"]
    code, printed, _ = ser(*command, "--json", "--speaker", tmp_path / "anna.npz")
    assert code == 0
    answer = json.loads(printed)
    assert answer["track"] == "adapted"
    expected = client.predict(waveforms[0], statistics=enrolled).probabilities
    assert answer["probabilities"] == pytest.approx(expected, abs=1e-5)
    code, _, error = ser(*command, "--speaker", recording)
    assert code != 0
    assert "found no statistics of a speaker, or damaged ones" in error


@pytest.mark.slow
def test_statistics_of_another_export_are_refused(client, waveforms, enrolled):
    foreign = Statistics(enrolled.export_id + 1, enrolled.values)
    with pytest.raises(ServerError, match="statistics are those of another model") as refused:
        client.predict(waveforms[0], statistics=foreign)
    assert refused.value.code == "INVALID_ARGUMENT"
    with pytest.raises(StatisticsError, match="expected those of one"):
        client.enrol(waveforms[:1], known=foreign)


@pytest.mark.slow
def test_nothing_to_enrol_is_a_sentence(client):
    with pytest.raises(ServerError, match="found no recordings"):
        client.enrol([])


def test_a_model_of_the_blind_track_takes_no_enrolment(server):
    with SerClient(f"localhost:{server.port}", "moma") as client:
        assert not client.adapts()
        with pytest.raises(ServerError, match="has no adapted track; it takes no enrolment"):
            client.enrol([np.zeros(5000, np.float32)])
