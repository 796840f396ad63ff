"""A model in this process answers as a server does, and says where there is nothing to hear."""

import io
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from ser_keras.errors import AudioError, ConfigError, NoSpeechError, ServingError
from serving.client.client import SerClient
from serving.client.connection import ServerError
from serving.client.prediction import NO_SPEECH
from serving.explain.described_export import open_export
from serving.explain.local_client import LocalClient
from tests.loaded import loaded_by
from tests.serving import exports
from tests.serving.client.described import described

RATE = exports.RATE


@pytest.fixture(scope="module")
def folder(moma, tmp_path_factory):
    return described(*moma, tmp_path_factory.mktemp("described"))


@pytest.fixture(scope="module")
def local(folder):
    with LocalClient(open_export(folder)) as client:
        yield client


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """A file of 9 s: speech, five seconds of silence, speech."""
    clip = exports.clips(1, seed=2, least=32000, most=32001)[0]
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    soundfile.write(path, np.concatenate([clip, np.zeros(5 * RATE), clip]), RATE)
    return path


def test_the_answers_are_those_of_a_server(local, server, speech):
    with SerClient(f"localhost:{server.port}", "moma") as remote:
        here, there = (client.predict(speech, maps=True) for client in (local, remote))
        assert here.probabilities == pytest.approx(there.probabilities, abs=1e-6)
        assert (here.label, here.version, here.end_s) == (there.label, there.version, there.end_s)
        assert here.maps.keys() == there.maps.keys()
        assert local.signatures() == remote.signatures()


def test_a_refusal_has_the_code_and_the_words_of_a_server(local, server):
    inputs = {"waveform": np.zeros((1, 9), np.float32), "length": np.array([10], np.int32)}
    with SerClient(f"localhost:{server.port}", "moma") as remote:
        refusals = []
        for client in (local, remote):
            with pytest.raises(ServerError) as caught:
                client.ask(inputs)
            refusals.append(caught.value)
    here, there = refusals
    assert here.code == there.code == "INVALID_ARGUMENT"
    assert str(here).split("INVALID_ARGUMENT: ")[1] in str(there)


def test_windows_without_speech_are_not_answered(ser, folder, speech):
    line = ["predict", speech, "--model", folder, "--timeline", "--window-s", "2", "--hop-s", "1"]
    code, out, _ = ser(*line, "--json")
    assert code == 0
    # The fixture makes one line of all lines.
    answers = [json.loads(answer) for answer in out.replace("} {", "}\n{").splitlines()]
    silent = {answer["start_s"] for answer in answers if answer["label"] == NO_SPEECH}
    assert silent == {2.0, 3.0, 4.0, 5.0}
    for answer in answers:
        assert bool(answer["probabilities"]) == (answer["label"] != NO_SPEECH)
    assert f"{speech} 3.0-5.0 s: {NO_SPEECH}" in ser(*line)[1]


def test_a_file_without_speech_costs_that_file_alone(ser, folder, speech, tmp_path):
    sounds = {
        "silence": (np.zeros(32000), "no speech found: 32000 samples that are all zero"),
        "sample": (np.ones(1), "no speech found: 1 sample ("),
        "tone": (0.3 * np.sin(np.arange(32000) / 8), "no speech found in 2.00 s"),
        "noise": (np.random.default_rng(0).normal(size=32000) / 9, "no speech found in 2.00 s"),
    }
    files = []
    for name, (waveform, _) in sounds.items():
        files.append(tmp_path / f"{name}.wav")
        soundfile.write(files[-1], waveform, RATE)
    code, out, err = ser("predict", *files, speech, "--model", folder)
    assert code == NoSpeechError.exit_code
    assert out.startswith(f"{speech} 0.0-9.0 s: ")
    assert out.count(" s: ") == 1
    for name, (_, sentence) in sounds.items():
        assert f"{name}.wav: " in err
        assert sentence in err
    code, out, err = ser("predict", *files, tmp_path / "none.wav", "--model", folder)
    assert (code, out) == (AudioError.exit_code, "")
    assert "5 of 5 files have no prediction" in err


@pytest.mark.parametrize("name", ["silence.wav", "text.wav", "gone.wav"])
def test_an_only_file_without_speech_is_refused_in_a_line_before_the_model_is_loaded(
    ser, tmp_path, name
):
    soundfile.write(tmp_path / "silence.wav", np.zeros(32000), RATE)
    (tmp_path / "text.wav").write_text("no recording")
    code, out, err = ser("predict", tmp_path / name)
    assert (code, out) == ((NoSpeechError if name == "silence.wav" else AudioError).exit_code, "")
    assert f"{name}: " in err
    assert "see above" not in err
    loaded = loaded_by("predict", tmp_path / name, fails=True)
    assert loaded.isdisjoint({"tensorflow", "keras", "scipy"})


@pytest.mark.parametrize("head", [b"RIFF\x00\x00\x00\x00WAVE", b"fLaC", b"OggS", b"ID3", b"RIFF"])
def test_a_file_on_standard_input_is_no_stream_of_samples(ser, folder, monkeypatch, head):
    buffer = io.BufferedReader(io.BytesIO(head + bytes(4000)))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=buffer))
    code, out, err = ser("predict", "-", "--model", folder)
    assert (code, out) == (AudioError.exit_code, "")
    assert "standard input: found the file of a recording" in err
    assert "ffmpeg -i FILE -f s16le -ac 1 -ar 16000 - | ser predict -" in err


def test_raw_samples_on_standard_input_are_answered(ser, folder, monkeypatch):
    clip = exports.clips(1, seed=2, least=32000, most=32001)[0]
    buffer = io.BufferedReader(io.BytesIO(np.round(32767 * clip).astype("<i2").tobytes()))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=buffer))
    code, out, _ = ser("predict", "-", "--model", folder)
    assert code == 0
    assert out.startswith("- 0.0-2.0 s: ")


@pytest.mark.parametrize("option", ["--window-s", "--hop-s"])
@pytest.mark.parametrize("seconds", ["nan", "inf", "0", "-1"])
def test_odd_windows_are_refused(ser, folder, speech, option, seconds):
    code, out, err = ser("predict", speech, "--model", folder, "--timeline", option, seconds)
    assert (code, out) == (ConfigError.exit_code, "")
    assert option in err


def test_what_cannot_be_asked_says_what_to_do(ser, folder, speech, tmp_path):
    code, _, err = ser("predict", speech, "--model", "moma")
    assert code == ConfigError.exit_code
    assert "found no saved_model.pb" in err
    assert "To ask a server for its model 'moma', add --server host:port." in err
    code, _, err = ser("predict", speech, "--model", "moma", "--server", "127.0.0.1:1")
    assert code == ServingError.exit_code
    assert "Start it with ser serve" in err
    long = tmp_path / "long.wav"
    clip = exports.clips(1, seed=2, least=32000, most=32001)[0]
    soundfile.write(long, np.resize(clip, 121 * RATE), RATE)
    code, _, err = ser("predict", long, "--model", folder)
    assert code == AudioError.exit_code
    assert "found 121.0 s, expected at most 120 s in one piece. Pass --timeline." in err
