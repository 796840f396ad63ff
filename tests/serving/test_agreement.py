"""Keras, SavedModel, session, gRPC, REST and client give the same answers."""

import json
import subprocess
import sys
import urllib.request
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from ser_keras.audio import read_audio
from ser_keras.data.segments import WHOLE, Segments
from ser_keras.features.extract import extract
from ser_keras.features.specs import get_spec
from ser_keras.layers.predictive_cell import STATES
from ser_keras.models import build_model, model_entry
from serving.client.client import SerClient
from serving.export.checks import keras_probabilities
from serving.export.signatures import Served, ServedModule
from serving.server.config_files import ModelEntry
from serving.server.server import Server, ServerOptions
from serving.server.session import LoadedModel
from tests.serving import exports

TOLERANCE = 1e-5
# In-graph features are float64 transforms of the same samples; the job's differ in the last bits.
FEATURES_TOLERANCE = 1e-4


@pytest.fixture(
    scope="module",
    params=[
        name if name == "moma" else pytest.param(name, marks=pytest.mark.slow)
        for name in exports.SYSTEMS
    ],
)
def system(request, tmp_path_factory):
    """(what is exported, its version's folder, the signatures TensorFlow loads) of each system."""
    served = exports.small(request.param)
    folder = tmp_path_factory.mktemp("agreement") / request.param
    version = exports.publish(served, folder)
    return served, version, tf.saved_model.load(str(version)).signatures


@pytest.fixture(scope="module")
def running(system):
    """(server with that system, client of it, the same in a session)."""
    served, version, _ = system
    name = served.model.name
    options = ServerOptions(port=0, rest_port=0)
    server = Server([ModelEntry(name, version.parent)], options)
    server.start()
    model = LoadedModel(version)
    with SerClient(f"localhost:{server.port}", name) as client:
        yield server, client, model
    model.close()
    server.stop()


def check(system, running, waveforms):
    served, _, signatures = system
    server, client, model = running
    trained = [keras_probabilities(served, extract(served.spec, w)) for w in waveforms]
    inputs = exports.batch(waveforms, fill=0.3)
    tensors = {key: tf.constant(value) for key, value in inputs.items()}
    saved = signatures["serving_default"](**tensors)["probabilities"].numpy()
    np.testing.assert_allclose(saved, trained, atol=FEATURES_TOLERANCE)

    session = model.run("serving_default", inputs)["probabilities"]
    np.testing.assert_allclose(session, saved, atol=TOLERANCE)
    together = [list(p.probabilities.values()) for p in client.predict_batch(waveforms)]
    alone = [list(client.predict(w).probabilities.values()) for w in waveforms]
    np.testing.assert_allclose(together, saved, atol=TOLERANCE)
    np.testing.assert_allclose(alone, saved, atol=TOLERANCE)
    rest = ask_rest(
        server.rest_port, served.model.name, {key: v.tolist() for key, v in inputs.items()}
    )
    np.testing.assert_allclose(rest["probabilities"], saved, atol=TOLERANCE)
    assert rest["label"] == [served.classes[k] for k in saved.argmax(axis=1)]


def ask_rest(port, name, inputs):
    body = json.dumps({"inputs": inputs}).encode()
    url = f"http://localhost:{port}/v1/models/{name}:predict"
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=60) as answer:
        return json.load(answer)["outputs"]


def test_every_way_to_ask_gives_the_trained_model(system, running):
    check(system, running, exports.clips(4))


@pytest.mark.realdata
def test_every_way_to_ask_agrees_on_200_real_clips(system, running, real_data):
    paths = sorted((real_data / "ravdess").rglob("*.flac"))[::7][:200]
    waveforms = [read_audio(path) for path in paths]
    assert len(waveforms) == 200
    for start in range(0, 200, 8):
        check(system, running, waveforms[start : start + 8])


def test_wav_bytes_and_features_give_the_same_answers(system):
    served, _, signatures = system
    # What 16-bit files can hold.
    waveforms = [np.round(w * 32768) / np.float32(32768) for w in exports.clips(3)]
    tensors = {key: tf.constant(v) for key, v in exports.batch(waveforms).items()}
    expected = signatures["serving_default"](**tensors)["probabilities"]
    wav = [tf.audio.encode_wav(w[:, None], exports.RATE).numpy() for w in waveforms]
    probabilities = signatures["wav_bytes"](wav=tf.constant(wav))["probabilities"]
    # encode_wav scales by 32767.
    np.testing.assert_allclose(probabilities, expected, atol=1e-3)
    features = signatures["front_end"](**tensors)
    assert features["features"].shape[2] == served.spec.dim
    probabilities = signatures["features"](**features)["probabilities"]
    np.testing.assert_allclose(probabilities, expected, atol=TOLERANCE)


def test_explain_has_every_map_and_the_others_attention_alone(system):
    served, _, signatures = system
    (waveform,) = exports.clips(1)
    tensors = {key: tf.constant(value) for key, value in exports.batch([waveform]).items()}
    default, every = (signatures[name](**tensors) for name in ("serving_default", "explain"))
    front_end = signatures["front_end"](**tensors)
    mask = tf.sequence_mask(front_end["frames"], front_end["features"].shape[1])
    outputs = served.model({"features": front_end["features"], "mask": mask})
    maps = set(model_entry(served.model.name).maps)
    assert maps <= set(outputs)
    assert {name for name in default if name in outputs} == {"attention"}
    assert {name for name in every if name in outputs} == maps
    for name in default:
        np.testing.assert_array_equal(every[name], default[name], err_msg=name)
    if "segments" not in every:
        for name in maps:
            np.testing.assert_allclose(every[name], outputs[name], atol=TOLERANCE, err_msg=name)


def test_invalid_inputs_are_refused_by_the_graph(system):
    _, _, signatures = system
    waveform = np.zeros((1, 16000), np.float32)
    nan = waveform.copy()
    nan[0, 5] = np.nan
    long = np.zeros((1, 121 * exports.RATE), np.float32)
    for wave, length, why in (
        (waveform, 0, "length must be 1 or more"),
        (waveform, 16001, "length exceeds the samples"),
        (nan, 16000, "NaN or infinite"),
        (long, 5, "longer than 120 s"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=why):
            signatures["serving_default"](waveform=tf.constant(wave), length=tf.constant([length]))
    slow = tf.audio.encode_wav(waveform[0][:, None], 8000).numpy()
    with pytest.raises(tf.errors.InvalidArgumentError, match="wav is at 8000 Hz, expected 16000"):
        signatures["wav_bytes"](wav=tf.constant([slow]))


@pytest.mark.slow
def test_a_process_with_tensorflow_alone_runs_it(system):
    served, version, _ = system
    code = (
        "import sys, tensorflow as tf; "
        f"s = tf.saved_model.load({str(version)!r}).signatures['serving_default']; "
        "o = s(waveform=tf.zeros((2, 9000)) + 0.1, length=tf.constant([9000, 700])); "
        "assert 'ser_keras' not in sys.modules and 'serving' not in sys.modules; "
        "print(tuple(o['probabilities'].shape), o['classes'][0, 0].numpy().decode())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == f"(2, {len(served.classes)}) {served.classes[0]}"


@pytest.mark.slow
@pytest.mark.parametrize("system", ["moma"], indirect=True)
def test_the_command_line_tool_of_tensorflow_runs_it(system, tmp_path):
    _, version, _ = system
    cli = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", "run"]
    cli += ["--dir", str(version), "--tag_set", "serve", "--signature_def", "serving_default"]
    np.savez(tmp_path / "in.npz", waveform=np.full((1, 9000), 0.1, "f4"), length=np.int32([9000]))
    cli += ["--inputs", ";".join(f"{n}={tmp_path}/in.npz[{n}]" for n in ("waveform", "length"))]
    ran = subprocess.run(cli, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert "probabilities" in ran.stdout


def windows_inside():
    """A predictive VRNN that makes its windows of frames and reads out all of them."""
    spec = get_spec("mfcc40")
    options = {"window_frames": 11, "window_hop": 2, "front_layers": 2, "front_units": 8}
    model = build_model("predictive_vrnn", num_classes=4, dim=spec.dim, **exports.VRNN, **options)
    return Served(model, spec, exports.CLASSES, WHOLE)


@pytest.mark.slow
@pytest.mark.parametrize("inside", [False, True])
def test_a_stream_of_windows_is_the_whole_recording(inside, tmp_path):
    served = windows_inside() if inside else exports.small("predictive_vrnn")
    version = exports.publish(served, tmp_path / "predictive_vrnn")
    signatures = tf.saved_model.load(str(version)).signatures
    (clip,) = exports.clips(1, least=39000)
    features = extract(served.spec, clip)
    vectors = list(features)
    if inside:
        features = features[:20]  # the last window is whole
        vectors = [features[start : start + 11] for start in range(0, 10, 2)]
    step = signatures["stream"]
    shapes = step.structured_input_signature[1]
    state = {name: tf.zeros((1, s.shape[1])) for name, s in shapes.items() if name in STATES}
    for vector in vectors:
        frames = {"frames": tf.constant([len(vector)])} if "frames" in shapes else {}
        outputs = step(features=tf.constant(vector[None]), **frames, **state)
        state = {name: outputs[name] for name in state}
    np.testing.assert_allclose(
        outputs["probabilities"][0], keras_probabilities(served, features), atol=TOLERANCE
    )
    assert len(features) > 2


def test_segments_end_with_the_recording_in_training_in_keras_and_in_the_export():
    size, hop = 20, 8
    served = replace(exports.small("moma"), segments=Segments(size, hop))
    from_features = ServedModule(served).signatures()["features"]
    # Shorter than a segment, exactly one, a frame more, a frame less and more than whole hops.
    for frames in (19, 20, 21, 27, 28, 29, 36):
        features = np.random.default_rng(frames).normal(size=(frames, 23)).astype(np.float32)
        starts = [0]
        while starts[-1] + size < frames:
            starts.append(min(starts[-1] + hop, frames - size))
        expected_segments = [features[start : start + size] for start in starts]
        whole = tf.data.Dataset.from_tensors({"features": features})
        cut = [example["features"] for example in served.segments.cut(whole).as_numpy_iterator()]
        assert len(cut) == served.segments.count(frames) == len(expected_segments)
        for piece, expected in zip(cut, expected_segments, strict=True):
            np.testing.assert_array_equal(piece, expected)
        alone = [
            keras_probabilities(replace(served, segments=WHOLE), piece)
            for piece in expected_segments
        ]
        mean = np.mean(alone, axis=0)
        np.testing.assert_allclose(keras_probabilities(served, features), mean, atol=TOLERANCE)
        outputs = from_features(tf.constant(features[None]), tf.constant([frames]))
        np.testing.assert_allclose(outputs["probabilities"][0], mean, atol=TOLERANCE)
