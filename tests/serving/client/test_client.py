"""The client: what it imports, how it cuts windows, and its errors without a server."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from ser_keras.errors import ServingError
from serving.client.audio_blocks import windows_of
from serving.client.client import SerClient
from serving.client.connection import ServerError
from tests.loaded import loaded_by
from tests.serving import exports


def test_it_imports_neither_tensorflow_nor_keras_nor_the_science():
    code = (
        "import sys; from serving.client import SerClient; "
        "print([m for m in ('tensorflow', 'keras', 'ser_keras', 'librosa') if m in sys.modules]); "
        "print(*sorted(m for m in sys.modules if m.startswith('serving.')))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    foreign, own = ran.stdout.splitlines()
    assert foreign == "[]"
    # The folder that docs/serving.md tells people to copy into a service.
    assert all(f"{name}.".startswith("serving.client.") for name in own.split())


def test_the_verb_that_asks_a_server_loads_no_science(server, tmp_path):
    time = np.arange(32000) / 16000
    path = tmp_path / "voice.wav"
    soundfile.write(path, 0.1 * exports.voice(time, 140.0), 16000)
    address = f"localhost:{server.port}"
    loaded = loaded_by("predict", path, "--server", address, "--model", "moma")
    assert loaded == {"numpy", "grpc"}


@given(
    lengths=st.lists(st.integers(0, 50), max_size=6),
    size=st.integers(1, 30),
    hop=st.integers(1, 30),
)
def test_windows_start_every_hop_and_the_last_ends_with_the_audio(lengths, size, hop):
    hop = min(hop, size)
    total = sum(lengths)
    audio = np.arange(total, dtype=np.float32)
    blocks = np.split(audio, np.cumsum(lengths)[:-1]) if lengths else []
    windows = list(windows_of(blocks, size, hop))
    starts = list(range(0, total - size + 1, hop))
    if total and (not starts or starts[-1] + size < total):
        starts.append(max(0, total - size))
    assert [start for start, _ in windows] == starts
    for start, window in windows:
        np.testing.assert_array_equal(window, audio[start : start + size])


def test_a_missing_server_is_an_error_within_the_deadline():
    with (
        SerClient("127.0.0.1:1", "moma", timeout_s=1.0) as client,
        pytest.raises(ServerError, match=r"127\.0\.0\.1:1, model moma: ") as error,
    ):
        client.predict(np.zeros(100, np.float32))
    # Which of them depends on whether the last of the tries had ended.
    assert error.value.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED")


def test_a_recording_without_samples_is_not_sent(server):
    with (
        SerClient(f"localhost:{server.port}", "moma") as client,
        pytest.raises(ServerError, match="has no samples"),
    ):
        client.predict(np.zeros(0, np.float32))


def test_a_source_without_samples_is_an_error(server, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 16000)
    sources = (tmp_path / "a.wav", io.BytesIO(), io.BytesIO(b"1"), np.zeros(0, np.float32))
    with SerClient(f"localhost:{server.port}", "moma") as client:
        for source in sources:
            with pytest.raises(ServerError, match="has no samples"):
                list(client.timeline(source, 16000))


@pytest.mark.parametrize("options", [[], ["--timeline"]])
def test_predict_says_what_to_do_without_a_server_and_which_file_is_missing(tmp_path, options):
    speech = tmp_path / "a.wav"
    soundfile.write(speech, exports.clips(1)[0], 16000)
    files = [str(speech), str(tmp_path / "b.wav")]
    ser = [sys.executable, "-m", "ser_keras", "predict", "--server", "127.0.0.1:1"]
    ser += ["--model", "moma"]
    completed = exports.completed(*ser, *files, *options, cwd=tmp_path)
    assert completed.returncode == ServingError.exit_code
    assert f"{files[0]}: 127.0.0.1:1, model moma: UNAVAILABLE" in completed.stderr
    assert "Start it with ser serve" in completed.stderr
    assert f"{files[1]}: found no file" in completed.stderr


def test_a_missing_recording_is_an_error(tmp_path):
    with (
        SerClient("127.0.0.1:1", "moma") as client,
        pytest.raises(ServerError, match="found no file there"),
    ):
        client.predict(tmp_path / "none.wav")


def test_files_of_another_rate_and_two_channels_are_one_waveform(server, tmp_path):
    (clip,) = exports.clips(1, least=30000)
    stereo = np.stack([clip, np.zeros_like(clip)], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 16000, subtype="FLOAT")
    with SerClient(f"localhost:{server.port}", "moma") as client:
        mixed = client.predict(tmp_path / "a.wav", maps=True)
        half = client.predict(clip / 2)
        assert mixed.probabilities == pytest.approx(half.probabilities, abs=1e-5)
        assert mixed.end_s == pytest.approx(len(clip) / 16000)
        slow = client.predict(clip, sample_rate_hz=8000)
        assert slow.end_s == pytest.approx(len(clip) / 8000)
    assert mixed.label == max(mixed.probabilities, key=mixed.probabilities.get)
    assert sum(mixed.probabilities.values()) == pytest.approx(1.0, abs=1e-5)
    assert mixed.version == 1
    assert "attention" in mixed.maps
    # Nearly all of an answer; clients that do not need them need not wait for them.
    assert not half.maps


def test_the_timeline_of_a_long_file_is_that_of_its_windows(server, tmp_path):
    long = np.concatenate(exports.clips(30, least=16000))
    soundfile.write(tmp_path / "long.wav", long, 16000, subtype="FLOAT")
    with SerClient(f"localhost:{server.port}", "moma") as client:
        from_file = list(client.timeline(tmp_path / "long.wav", window_s=4.0, hop_s=2.0))
        direct = list(client.timeline(long, window_s=4.0, hop_s=2.0, batch_size=1))
        alone = client.predict(long[32000 : 32000 + 64000])
    assert [f.start_s for f in from_file] == [d.start_s for d in direct]
    assert from_file[1].probabilities == pytest.approx(alone.probabilities, abs=1e-5)
    assert from_file[-1].end_s == pytest.approx(len(long) / 16000)
    for prediction, expected in zip(from_file, direct, strict=True):
        assert prediction.probabilities == pytest.approx(expected.probabilities, abs=1e-5)


def test_a_live_stream_is_answered_while_it_goes_on(server):
    (clip,) = exports.clips(1, least=39000)
    samples = np.round(clip * 32768).astype("<i2").tobytes()
    with SerClient(f"localhost:{server.port}", "moma") as client:
        whole = list(client.timeline(clip, window_s=1.0, hop_s=0.5))
        ends, speaker = os.pipe()
        with os.fdopen(ends, "rb") as stream, os.fdopen(speaker, "wb", buffering=0) as pipe:
            timeline = client.timeline(stream, window_s=1.0, hop_s=0.5, batch_size=1)
            # An odd number of bytes: half a sample more than a window.
            pipe.write(samples[:32001])
            live = [next(timeline)]
            pipe.write(samples[32001:])
            pipe.close()
            live += timeline
    assert [p.start_s for p in live] == [w.start_s for w in whole]
    for prediction, expected in zip(live, whole, strict=True):
        assert prediction.probabilities == pytest.approx(expected.probabilities, abs=1e-3)


def test_waiting_ends_when_the_model_is_there_or_the_time_is_over(server):
    with SerClient(f"localhost:{server.port}", "moma") as client:
        assert client.wait_until_available(5.0) == 1
    with (
        SerClient(f"localhost:{server.port}", "nobody") as client,
        pytest.raises(ServerError, match="Could not find any versions of model nobody"),
    ):
        client.wait_until_available(0.3)
