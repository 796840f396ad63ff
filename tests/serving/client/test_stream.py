"""Endless audio: an export that streams takes a recording as one sequence, step by step."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from threading import Timer

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_keras.data.segments import Segments
from ser_keras.features.extract import extract
from serving.client.connection import ServerError
from serving.export.checks import keras_probabilities
from serving.export.signatures import ServedModule
from serving.web.recognition import WHOLE_S, recognize
from serving.web.view import Models, summary, window_names
from tests.architecture import ROOT
from tests.serving import exports, streams

pytestmark = pytest.mark.slow
RATE = exports.RATE
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def models():
    """What is exported, by kind."""
    return {kind: streams.streaming(kind) for kind in streams.KINDS}


@pytest.fixture(scope="module")
def serve(models, moma, tmp_path_factory):
    """`ser serve` of every kind of stream, and of a model that predicts windows."""
    base = tmp_path_factory.mktemp("streams")
    for kind, served in models.items():
        exports.publish(served, base / kind)
    exports.publish(moma[0], base / "moma")
    running = streams.Serve(base)
    yield running
    running.stop()


def values(probabilities):
    return np.array([probabilities[name] for name in exports.CLASSES])


def whole(client, waveform):
    """The prediction for a recording in one request."""
    return values(client.predict(waveform).probabilities)


def probabilities_of(answer):
    names = [name.decode() for name in answer.outputs["classes"][0]]
    return values(dict(zip(names, answer.outputs["probabilities"][0], strict=True)))


def run(serve, model, source, *options, waveform=None):
    """Runs `ser predict`; returns its answers."""
    command = [sys.executable, "-m", "ser_keras", "predict", str(source), "--json", *options]
    command += ["--server", f"localhost:{serve.port}", "--model", model]
    given = None if waveform is None else streams.pcm(waveform)
    done = subprocess.run(command, input=given, capture_output=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


# === Every step ===


@pytest.mark.parametrize("kind", streams.KINDS)
@given(
    seconds=st.floats(0.001, 6.0),
    sizes=st.lists(st.integers(1, 40000), min_size=1, max_size=5),
    octaves=st.sampled_from([0.0, 6.0, 12.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=12, deadline=None, derandomize=True)
def test_every_step_predicts_the_recording_so_far(kind, serve, seconds, sizes, octaves, seed):
    waveform = streams.rising(max(seconds, 1 / RATE), seed, octaves)
    with serve.client(kind) as client:
        session = client.session()
        answers, start = [], 0
        while start < len(waveform):
            size = sizes[len(answers) % len(sizes)]
            answers.extend(session.push(waveform[start : start + size]))
            start += size
        answers.extend(session.finish())
        plan = session.plan
        ends = list(range(plan["window_samples"], len(waveform) + 1, plan["hop_samples"]))
        if not ends or ends[-1] < len(waveform):
            ends.append(len(waveform))
        assert [answer.end for answer in answers] == ends
        for answer in answers:
            expected = whole(client, waveform[: answer.end])
            np.testing.assert_allclose(probabilities_of(answer), expected, atol=TOLERANCE)


@pytest.mark.parametrize("kind", streams.KINDS)
def test_the_answers_change_and_none_is_that_of_a_window_alone(kind, serve):
    waveform = streams.rising(6.0, seed=1, octaves=0.0)
    with serve.client(kind) as client:
        answers = list(client.timeline(waveform, maps=True))
        alone = whole(client, waveform[-round(client.session().window_s * RATE) :])
    shares = np.array([values(prediction.probabilities) for prediction in answers])
    assert shares.std(axis=0).max() > 1e-3
    assert np.abs(shares[-1] - alone).max() > 1e-3
    assert all(prediction.start_s == 0 for prediction in answers)
    assert {*answers[0].maps} == {"attention"}
    assert answers[0].label == max(answers[0].probabilities, key=answers[0].probabilities.get)


@pytest.mark.parametrize("kind", streams.KINDS)
def test_beyond_what_a_request_takes_a_stream_is_still_the_whole_recording(kind, serve, models):
    """The oracle is Keras, on the feature job's features of all of the audio."""
    waveform = streams.rising(150.3, seed=2, octaves=0.0)
    # The loudest sound of it comes before the first two minutes are over.
    waveform[round(70.5 * RATE) :][:4000] *= 2.5
    with serve.client(kind) as client:
        last = [*client.timeline(waveform, hop_s=5.0)][-1]
    expected = keras_probabilities(models[kind], extract(models[kind].spec, waveform))
    assert last.end_s == pytest.approx(len(waveform) / RATE)
    np.testing.assert_allclose(values(last.probabilities), expected, atol=TOLERANCE)


def test_minutes_of_silence_belong_to_the_recording_once_speech_follows(serve, models):
    speech = streams.rising(3.0, seed=4, octaves=0.0)
    waveform = np.concatenate([speech, np.zeros(130 * RATE, np.float32), speech])
    with serve.client("trimmed") as client:
        answers = list(client.timeline(waveform))
        spoken = whole(client, speech)
    silent = [prediction for prediction in answers if 3.6 < prediction.end_s < 100]
    for prediction in silent:
        np.testing.assert_allclose(values(prediction.probabilities), spoken, atol=TOLERANCE)
    assert len(silent) > 300
    expected = keras_probabilities(models["trimmed"], extract(models["trimmed"].spec, waveform))
    np.testing.assert_allclose(values(answers[-1].probabilities), expected, atol=TOLERANCE)
    assert np.abs(expected - spoken).max() > 1e-3


def test_answers_come_at_the_requested_interval(serve):
    waveform = streams.rising(5.0, octaves=0.0)
    with serve.client("windows") as client:
        every = list(client.timeline(waveform))
        some = list(client.timeline(waveform, hop_s=1.05))
    assert [prediction.end_s for prediction in some] == [0.5, 1.5, 2.5, 3.5, 4.5, 5.0]
    at = {prediction.end_s: values(prediction.probabilities) for prediction in every}
    for prediction in some:
        np.testing.assert_allclose(
            values(prediction.probabilities), at[prediction.end_s], atol=1e-6
        )


def test_files_of_another_rate_are_resampled_to_the_models(serve, tmp_path):
    clip = streams.rising(4.0, octaves=0.0)
    path = tmp_path / "speech.wav"
    soundfile.write(path, np.stack([clip, clip], axis=1), 22050, subtype="FLOAT")
    with serve.client("windows") as client:
        last = [*client.timeline(path)][-1]
        expected = whole(client, path)
    assert last.end_s == pytest.approx(len(clip) / 22050, abs=1e-3)
    np.testing.assert_allclose(values(last.probabilities), expected, atol=TOLERANCE)


def test_a_source_without_samples_is_an_error(serve):
    with serve.client("windows") as client, pytest.raises(ServerError, match="has no samples"):
        list(client.timeline(np.zeros(0, np.float32)))


# === Which exports, which version ===


def test_the_signatures_of_the_server_say_whether_an_export_streams(serve):
    for model in (*streams.KINDS, "moma"):
        with serve.client(model) as client:
            assert client.streams() == (model != "moma")
            assert "serving_default" in client.signatures()


def test_a_mean_over_segments_is_not_streamed(models):
    cut = replace(models["windows"], segments=Segments(4, 2))
    assert "stream" in ServedModule(models["windows"]).signatures()
    assert "stream" not in ServedModule(cut).signatures()


def test_other_exports_predict_each_window_by_itself(serve):
    waveform = streams.rising(9.0, octaves=0.0)
    (*_, last) = run(serve, "moma", "-", waveform=waveform)
    assert (last["start_s"], last["end_s"]) == (5.0, 9.0)
    with serve.client("moma") as client:
        expected = whole(client, waveform[5 * RATE :])
    np.testing.assert_allclose(values(last["probabilities"]), expected, atol=TOLERANCE)


def test_a_new_version_processes_the_kept_audio_from_the_start(models, tmp_path):
    first, second = models["windows"], streams.streaming("trimmed", seed=1)
    exports.publish(first, tmp_path / "swapped")
    running = streams.Serve(tmp_path)
    waveform = streams.rising(5.0, seed=3, octaves=0.0)
    try:
        with running.client("swapped") as client:
            session = client.session()
            before = [*session.push(waveform[: 2 * RATE])]
            exports.publish(second, tmp_path / "swapped")
            for _ in range(600):
                if client.predict(waveform).version == 2:
                    break
                time.sleep(0.1)
            after = [*session.push(waveform[2 * RATE :]), *session.finish()]
            expected = whole(client, waveform)
    finally:
        running.stop()
    assert {answer.version for answer in before} == {1}
    assert {answer.version for answer in after} == {2}
    np.testing.assert_allclose(probabilities_of(after[-1]), expected, atol=TOLERANCE)


# === Commands and page ===


@pytest.mark.parametrize("kind", ["windows", "frames"])
def test_a_minute_from_a_pipe_or_file_ends_like_the_whole_file(kind, serve, tmp_path):
    waveform = streams.rising(60.0, seed=5, octaves=1.0)
    path = tmp_path / "minute.wav"
    soundfile.write(path, waveform, RATE, subtype="PCM_16")
    (file,) = run(serve, kind, path)
    live = run(serve, kind, "-", waveform=waveform)
    timeline = run(serve, kind, path, "--timeline")
    expected = values(file["probabilities"])
    assert live[-1]["end_s"] == timeline[-1]["end_s"] == file["end_s"] == 60.0
    for lines in (live, timeline):
        np.testing.assert_allclose(values(lines[-1]["probabilities"]), expected, atol=TOLERANCE)
    assert [line["end_s"] for line in live] == [line["end_s"] for line in timeline]
    for from_pipe, from_file in zip(live, timeline, strict=True):
        np.testing.assert_allclose(
            values(from_pipe["probabilities"]), values(from_file["probabilities"]), atol=TOLERANCE
        )


def test_a_live_stream_is_answered_while_it_goes_on(serve):
    waveform = streams.rising(1.3, octaves=0.0)
    with serve.client("windows") as client:
        ends, speaker = os.pipe()
        with os.fdopen(ends, "rb") as stream, os.fdopen(speaker, "wb", buffering=0) as pipe:
            timeline = client.timeline(stream)
            # A client that waits for more than this must not wait for ever.
            timer = Timer(60.0, pipe.close)
            timer.start()
            # A window and half a sample.
            pipe.write(streams.pcm(waveform)[:16001])
            predictions = [next(timeline)]
            timer.cancel()
            pipe.write(streams.pcm(waveform)[16001:])
            pipe.close()
            predictions += timeline
        assert [prediction.end_s for prediction in predictions] == [0.5, 0.75, 1.0, 1.25, 1.3]
        for prediction in predictions:
            expected = whole(client, waveform[: round(prediction.end_s * RATE)])
            np.testing.assert_allclose(values(prediction.probabilities), expected, atol=TOLERANCE)


def test_the_page_takes_a_recording_of_any_length_as_one(serve, models, tmp_path):
    waveform = streams.rising(WHOLE_S + 10.0, seed=6, octaves=0.0)
    path = tmp_path / "long.flac"
    soundfile.write(path, waveform, RATE)
    waveform, _ = soundfile.read(path, dtype=np.float32)
    with serve.client("frames") as client:
        recognition = recognize(client, path)
    assert recognition.streamed
    assert recognition.whole
    assert (recognition.overall.start_s, recognition.overall.end_s) == (0.0, recognition.duration_s)
    expected = keras_probabilities(models["frames"], extract(models["frames"].spec, waveform))
    np.testing.assert_allclose(values(recognition.overall.probabilities), expected, atol=TOLERANCE)
    for window in recognition.windows[3::5]:
        features = extract(models["frames"].spec, waveform[: round(window.end_s * RATE)])
        expected = keras_probabilities(models["frames"], features)
        np.testing.assert_allclose(values(window.probabilities), expected, atol=TOLERANCE)
        assert window.end_s - window.start_s <= 4.0
    assert "analysed in one piece" in summary(recognition)
    with serve.client("frames") as client:
        *_, words = Models({"frames": client}, {}).window(recognition, 1, 300)
    assert words.startswith(f"frames says of the first 0:02: {recognition.windows[1].label} ")
    assert window_names(recognition)[-1].startswith(f"{len(recognition.windows)}: up to 0:40, ")


# === Memory ===


@pytest.mark.parametrize(("kind", "minutes"), [("windows", 30), ("frames", 10)])
def test_a_long_stream_needs_no_more_memory_than_two_minutes(kind, minutes, serve, tmp_path):
    """Client and server: the peak of `ser predict -`, and what the server has before and after."""
    minute = streams.pcm(streams.rising(60.0, seed=7, octaves=0.0))

    def peak_mb(minutes):
        code = (
            "import resource, subprocess, sys\n"
            "minute = open(sys.argv[1], 'rb').read()\n"
            "with open(sys.argv[3], 'wb') as lines:\n"
            "    asks = subprocess.Popen(sys.argv[4:], stdin=subprocess.PIPE, stdout=lines)\n"
            "    for _ in range(int(sys.argv[2])): asks.stdin.write(minute)\n"
            "    asks.stdin.close()\n"
            "    assert asks.wait() == 0\n"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
        )
        (tmp_path / "minute.pcm").write_bytes(minute)
        lines = tmp_path / f"{minutes}.jsonl"
        command = [sys.executable, "-c", code, tmp_path / "minute.pcm", minutes, lines]
        command += [sys.executable, "-m", "ser_keras", "predict", "-", "--json"]
        command += ["--model", kind, "--server", f"localhost:{serve.port}"]
        done = subprocess.run(
            [*map(str, command)], capture_output=True, text=True, cwd=ROOT, timeout=580
        )
        assert done.returncode == 0, done.stderr
        last = json.loads(lines.read_text(encoding="utf-8").splitlines()[-1])
        assert last["end_s"] == 60 * minutes
        return float(done.stdout)

    short, server_before = peak_mb(2), serve.memory_mb()
    long, server_after = peak_mb(minutes), serve.memory_mb()
    # Ten minutes of samples are 38 MB, half an hour 115 MB; two minutes are kept.
    assert long < short + 15, (short, long)
    assert server_after < server_before + 30, (server_before, server_after)


def test_a_session_keeps_at_most_two_minutes(serve):
    block = streams.rising(10.0, seed=8, octaves=0.0)
    with serve.client("windows") as client:
        session = client.session(hop_s=10.0)
        counted = []
        for _ in range(20):
            for _ in session.push(block):
                pass
            counted.append(len(session._kept))
    assert max(counted) <= 130 * RATE
    assert max(counted[13:]) <= 20 * RATE
