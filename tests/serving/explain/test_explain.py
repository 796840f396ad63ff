"""What a model listened to: the right weights at the right time, and pictures that say so."""

import json
import shutil
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
import typer
from typer.testing import CliRunner

from ser_keras.audio import write_wav
from ser_keras.data.segments import WHOLE, Segments
from ser_keras.errors import AudioError, ConfigError, NoSpeechError, ServingError
from ser_keras.features.extract import extract
from ser_keras.features.specs import get_spec
from ser_keras.models import build_model
from ser_keras.plots.explanation import draw_explanation
from serving.cli.explain import explain as explain_verb
from serving.client.endpoint import Endpoint
from serving.explain.described_export import DescribedExport, open_export
from serving.explain.explain import explain
from serving.explain.signature_runners import local_signatures, server_signatures
from serving.export.map_geometry import map_axis, map_geometry
from serving.export.signatures import Served, ServedModule
from tests.architecture import ROOT
from tests.serving import exports

RATE = exports.RATE
BEFORE_S, SPEECH_S, AFTER_S = 0.4, 1.3, 0.5


def describe(served, options, folder):
    """The export as `ser export` describes it."""
    batch = {"segment_frames": served.segments.frames, "test_hop": served.segments.hop}
    about = {"name": "mine", "model": served.model.name, "sample_rate_hz": RATE}
    about |= {"spec": served.spec.to_dict(), "classes": list(served.classes)}
    about |= {"map_geometry": map_geometry(served.model).to_dict(), "streams": served.streams}
    about |= {"calibration": {"temperature": served.temperature}}
    return DescribedExport(
        folder, about | {"config": {"model": {"options": options}, "batch": batch}}
    )


class Direct:
    """A model whose signatures run as they are traced, without a file."""

    def __init__(self, name, options, spec, segments=WHOLE, temperature=1.0):
        keras.utils.set_random_seed(1)
        model = build_model(name, num_classes=4, dim=spec.dim, **options)
        self.served = Served(model, spec, exports.CLASSES, segments, temperature)
        self.export = describe(self.served, options, SimpleNamespace(name="7"))
        self.signatures = ServedModule(self.served).signatures()

    def run(self, name, inputs):
        outputs = self.signatures[name](**{key: tf.constant(v) for key, v in inputs.items()})
        return {key: value.numpy() for key, value in outputs.items()}

    def __call__(self, waveform, start_s=0.0):
        return explain(self.export, self.run, waveform, source="a.wav", start_s=start_s)


@pytest.fixture(
    scope="module",
    params=[
        name if name in ("moma", "alexnet_fcn") else pytest.param(name, marks=pytest.mark.slow)
        for name in exports.SYSTEMS
    ],
)
def system(request):
    name, (spec, options, segments) = request.param, exports.SYSTEMS[request.param]
    return Direct(name, options, get_spec(spec, trim_db=40), segments)


def speech(seconds=SPEECH_S, seed=0):
    """A voice in noise; there is sound at both ends."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * RATE)) / RATE
    syllables = 1 + np.sin(2 * np.pi * 3 * time_s)
    noise = rng.normal(0, 0.02, len(time_s))
    return (0.1 * exports.voice(time_s, 150.0) * syllables + noise).astype(np.float32)


def silence(seconds):
    return np.zeros(round(seconds * RATE), np.float32)


@pytest.fixture(scope="module")
def explanation(system):
    return system(np.concatenate([silence(BEFORE_S), speech(), silence(AFTER_S)]), start_s=10.0)


def cells(system, explanation, values):
    """The values of each segment that no other overlaps, every column and row of the model once."""
    segments, axis = system.served.segments, map_axis(system.served.model)
    dim, frames = explanation.features.shape
    length = min(segments.frames or frames, frames)
    firsts = np.unique(axis.nearest_column(length), return_index=True)[1]
    if values.ndim == 2 and len(values) == dim:
        values = values[np.unique(axis.nearest_column(dim), return_index=True)[1]]
    return [
        values[..., start + firsts] for start in range(0, max(1, frames - 2 * length + 1), length)
    ]


def test_every_map_lies_on_the_frames_and_weights_sum_to_what_they_should(system, explanation):
    dim, frames = len(explanation.row_edges) - 1, len(explanation.frame_edges_s) - 1
    assert frames > 2
    assert explanation.features.shape == (dim, frames)
    assert sum(explanation.probabilities.values()) == pytest.approx(1, abs=1e-5)
    maps = dict(explanation.maps)
    if explanation.system == "predictive_vrnn":
        assert maps["attention"].shape == maps["saliency"].shape == (dim, frames)
        return
    gamma = maps.pop("gamma", np.ones(1))
    for attention in cells(system, explanation, maps["attention"]):
        assert attention.mean() == pytest.approx(gamma.sum(), abs=1e-4)
    assert {values.shape[-1] for values in maps.values()} == {frames}
    if explanation.system == "moma":
        assert maps["attention_layer1"].mean() == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose(maps["attention_blocks"].mean(axis=1), 1, atol=1e-5)
        mixed = gamma @ maps["attention_blocks"]
        np.testing.assert_allclose(maps["attention"], mixed, atol=1e-5)
    if "top_down" in maps:
        assert maps["top_down"].shape == (4, dim, frames)


def test_the_time_axis_is_the_audio_s_and_its_silent_ends_are_in_no_frame(system, explanation):
    assert explanation.start_s == 10.0
    assert explanation.end_s == pytest.approx(10.0 + BEFORE_S + SPEECH_S + AFTER_S)
    assert (np.diff(explanation.frame_edges_s) > 0).all()
    first, last = explanation.frame_edges_s[[0, -1]]
    spec = system.served.spec
    # The first frame of the trimmed part begins with the first that holds some of the speech.
    assert first == pytest.approx(10.0 + BEFORE_S, abs=spec.frame_length_s)
    hop = getattr(spec, "window_hop_s", spec.hop_s)
    ends = 10.0 + BEFORE_S + SPEECH_S + spec.frame_length_s
    assert ends - spec.frame_length_s - hop <= last <= ends


def test_audio_shorter_than_the_model_s_least_gives_no_weight_to_padding(system):
    explanation = system(speech(0.3))
    assert explanation.frame_edges_s[-1] <= explanation.end_s + 1e-9
    if explanation.system == "predictive_vrnn":
        assert explanation.posterior.shape == (1, 4)
        return
    # Were any weight in the padding, the rest would have less than all of it.
    (attention,) = cells(system, explanation, explanation.maps["attention"])
    whole = explanation.maps["gamma"].sum() if "gamma" in explanation.maps else 1.0
    assert attention.mean() == pytest.approx(whole, abs=1e-4)


@pytest.mark.parametrize("kind", [".png", ".svg"])
def test_pictures_are_written_and_the_same_every_time(explanation, tmp_path, kind):
    first, second = (tmp_path / f"{name}{kind}" for name in "ab")
    draw_explanation(explanation, first)
    draw_explanation(explanation, second)
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().startswith(b"\x89PNG" if kind == ".png" else b"<?xml")
    assert sorted(tmp_path.iterdir()) == [first, second]


def test_a_picture_names_axes_units_scales_and_who_says_what(explanation, tmp_path):
    draw_explanation(explanation, tmp_path / "picture.svg")
    text = (tmp_path / "picture.svg").read_text()
    label, share = explanation.likeliest[0]
    assert f"<!-- a.wav: {label} {100 * share:.0f} %, " in text
    named = {
        "moma": ["layer 1", "layer 2, sum of its views", "(weight x frames)"],
        "predictive_vrnn": ["MFCC (number)", "|seen - predicted|", "sampled (W)"],
        "attention_cnn": ["frequency (Hz)", "level (dB)", "(weight x cells)", "score"],
        "alexnet_fcn": ["frequency (Hz)", "level (dB)", "(weight x cells)"],
        "sparse_autoencoder": ["attention", "(weight x frames)"],
    }
    time = "time in the recording (s); hatched: not read by the model"
    for words in [
        *named[explanation.system],
        time,
        "(full scale 1)",
        f"by mine 7 ({explanation.system})",
    ]:
        assert f"{words} -->" in text or f"{words}\n" in text


# === Where things are ===


def test_a_tone_is_drawn_at_its_time_and_frequency():
    for name, spec in (("spectrogram200", {}), ("logmel40", {}), ("spectrogram400", {})):
        direct = Direct(
            "attention_cnn",
            {"filters": [2], "pool_after": [1], "minimum_frames": 1},
            get_spec(name, **spec),
        )
        waveform = speech(2.0) / 100
        tone = slice(round(1.2 * RATE), round(1.3 * RATE))
        waveform[tone] += 0.3 * np.sin(2 * np.pi * 2000 * np.arange(tone.start, tone.stop) / RATE)
        explanation = direct(waveform)
        row, frame = np.unravel_index(np.argmax(explanation.features), explanation.features.shape)
        assert explanation.row_edges[row] - 40 < 2000 < explanation.row_edges[row + 1] + 40
        assert 1.2 <= explanation.frame_edges_s[frame] < explanation.frame_edges_s[frame + 1] <= 1.3


def test_segments_lie_where_they_were_cut_and_count_alike():
    size, hop = 60, 45
    name, (spec, options, _) = "attention_cnn", exports.SYSTEMS["attention_cnn"]
    direct = Direct(name, options, get_spec(spec), Segments(size, hop))
    waveform = speech(2.0)
    segmented = direct(waveform)
    features = extract(direct.served.spec, waveform)
    frames = len(features)
    # The last one ends with the recording.
    starts = [*range(0, frames - size, hop), frames - size]
    weights, scores, count = np.zeros(frames), np.zeros((4, frames)), np.zeros(frames)
    for start in starts:
        piece, mask = features[start : start + size], np.ones((1, size), bool)
        outputs = direct.served.model({"features": piece[None], "mask": mask}, training=False)
        real = np.asarray(outputs["attention"][0])[:, : -(-size // 16)]  # four poolings
        weight = real.sum(axis=0) * real.shape[1]
        score = np.asarray(outputs["top_down"][0]).mean(axis=0)
        for frame in range(size):
            weights[start + frame] += weight[frame // 16]
            scores[:, start + frame] += score[frame // 16]
            count[start + frame] += 1
    assert starts[-1] % hop > 0
    assert segmented.features.shape == (400, frames)
    maps = segmented.maps
    np.testing.assert_allclose(maps["attention"].mean(axis=0), weights / count, rtol=1e-3)
    np.testing.assert_allclose(maps["top_down"].mean(axis=1), scores / count, rtol=1e-3)
    assert segmented.frame_edges_s[-1] == pytest.approx((frames - 1) * 0.01 + 0.04)


def test_the_two_maps_of_a_segment_multiply_to_what_the_model_says():
    _, options, segments = exports.SYSTEMS["attention_cnn"]
    direct = Direct("attention_cnn", options, get_spec("spectrogram400"), segments)
    explanation = direct(speech(0.5))
    maps = explanation.maps["top_down"] * explanation.maps["attention"]
    scores = np.array([cells(direct, explanation, class_map)[0].mean() for class_map in maps])
    powers = np.exp(scores - scores.max())
    probabilities = list(explanation.probabilities.values())
    np.testing.assert_allclose(powers / powers.sum(), probabilities, atol=1e-4)


@pytest.mark.parametrize("inside", [False, True])
def test_a_vrnn_samples_what_surprises_it_and_its_posterior_ends_at_what_it_says(inside):
    spec = get_spec("mfcc40" if inside else "mfcc40-windows-short")
    windows = {"window_frames": 11, "window_hop": 6} if inside else {}
    direct = Direct("predictive_vrnn", exports.VRNN | windows, spec, temperature=0.5)
    waveform = speech(1.5)
    explanation = direct(waveform)
    sampled, saliency = explanation.maps["attention"], explanation.maps["saliency"]
    of_first = np.isnan(saliency).all(axis=0)
    assert of_first[0]
    assert not of_first[-1]
    assert (sampled[:, of_first] == 1).all()
    rest = saliency[:, ~of_first]
    np.testing.assert_array_equal(sampled[:, ~of_first], rest >= rest.mean(axis=0))
    probabilities = list(explanation.probabilities.values())
    np.testing.assert_allclose(explanation.posterior[-1], probabilities, atol=1e-5)
    # When it said the third, it had heard no more than this.
    until = round(explanation.posterior_s[2] * RATE)
    earlier = list(direct(waveform[:until]).probabilities.values())
    np.testing.assert_allclose(explanation.posterior[2], earlier, atol=1e-4)
    assert (np.diff(explanation.posterior_s) > 0).all()
    assert explanation.posterior_s[-1] <= explanation.end_s
    assert explanation.maps["sampled_share"].shape == explanation.posterior_s.shape
    assert explanation.maps["sampled_share"][0] == 1


# === Files ===


@pytest.fixture(scope="module")
def published(moma, tmp_path_factory):
    """(folder of a model with versions 1 and 2, a recording)."""
    root = tmp_path_factory.mktemp("published")
    exported, folder = moma
    for number in ("1", "2"):
        version = shutil.copytree(folder / "1", root / "mine" / number)
    about = describe(exported, exports.SYSTEMS["moma"][1], version).about
    (version / "assets.extra" / "model.json").write_text(json.dumps(about))
    write_wav(root / "so $much.wav", np.concatenate([silence(1), speech(2), silence(1)]))
    return root / "mine", root / "so $much.wav"


def run(*arguments):
    app = typer.Typer()
    app.command()(explain_verb)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_explains_a_part_by_the_newest_version(published, tmp_path):
    model, recording = published
    part = ("--start", 1.5, "--seconds", 1)
    done = run(recording, "--model", model, "--output", tmp_path, *part)
    assert done.exit_code == 0, done.output
    assert f"{recording} 1.5-2.5 s: " in done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "so $much-mine.json",
        "so $much-mine.png",
        "so $much-mine.svg",
    ]
    text = (tmp_path / "so $much-mine.svg").read_text()
    assert "<!-- so $much.wav: " in text
    assert "by mine 2 (moma) -->" in text


def test_a_server_says_the_same(server, moma):
    exported, folder = moma
    export = describe(exported, exports.SYSTEMS["moma"][1], folder / "1")
    export.about["name"] = "moma"
    waveform = speech(1.0)
    with local_signatures(export) as run_here:
        here = explain(export, run_here, waveform, source="a.wav")
    with server_signatures(export, Endpoint(f"localhost:{server.port}")) as run_there:
        there = explain(export, run_there, waveform, source="a.wav")
    for name, values in here.maps.items():
        np.testing.assert_allclose(there.maps[name], values, atol=1e-5, err_msg=name)


def test_a_server_that_is_not_there_is_a_sentence(moma):
    exported, folder = moma
    export = describe(exported, exports.SYSTEMS["moma"][1], folder / "1")
    refused = pytest.raises(ServingError, match=r"UNAVAILABLE: .* Start it with ser serve")
    with refused, server_signatures(export, Endpoint("localhost:1")) as run_there:
        explain(export, run_there, speech(0.2), source="a.wav")


def test_what_cannot_be_explained_is_a_sentence(published, tmp_path):
    model, recording = published

    def refused(error, match, *arguments):
        done = run(*arguments, "--output", tmp_path / "pictures")
        assert isinstance(done.exception, error)
        assert match in str(done.exception)

    refused(ConfigError, "found no saved_model.pb", recording, "--model", tmp_path / "none")
    refused(ConfigError, "found no assets.extra/model.json", recording, "--model", model / "1")
    refused(AudioError, "found no file", tmp_path / "no.wav", "--model", model)
    text = tmp_path / "text.wav"
    text.write_text("not audio, but long enough to be looked at")
    refused(AudioError, "text.wav: found", text, "--model", model)
    refused(ConfigError, "found nothing in", recording, "--model", model, "--start", 9)
    refused(ConfigError, "in a recording of 4.00 s", recording, "--model", model, "--start", 4)
    pause = ("--seconds", 0.5)
    refused(NoSpeechError, "no speech found in 0.50 s", recording, "--model", model, *pause)
    broken = tmp_path / "broken" / "1"
    (broken / "assets.extra").mkdir(parents=True)
    (broken / "saved_model.pb").write_bytes(b"nothing")
    description = (model / "2" / "assets.extra" / "model.json").read_text()
    (broken / "assets.extra" / "model.json").write_text(description)
    refused(ConfigError, "found no assets.extra/SHA256SUMS", recording, "--model", broken.parent)
    trusted = ("--model", broken.parent, "--trust")
    refused(ConfigError, "TensorFlow cannot load it", recording, *trusted)
    assert not (tmp_path / "pictures").exists()


def test_a_model_without_attention_has_nothing_to_show():
    direct = Direct("alexnet_fixed", {"width": 0.0625}, get_spec("spectrogram200"))
    with pytest.raises(ConfigError, match=r"returns no attention\. Models without attention"):
        direct(speech(0.5))


def test_an_export_is_found_by_its_name_or_its_version(published):
    model, _ = published
    assert open_export(model) == open_export(model / "2")
    assert open_export(model).name == "mine 2"


@pytest.mark.parametrize("name", exports.SYSTEMS)
def test_an_export_of_before_gets_the_facts_that_it_lacks_from_a_rebuilt_model(name, tmp_path):
    served = exports.small(name)
    about = describe(served, exports.SYSTEMS[name][1], tmp_path).about
    old = {key: about[key] for key in about if key not in ("map_geometry", "streams")}
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "saved_model.pb").touch()
    (tmp_path / "assets.extra" / "model.json").write_text(json.dumps(old))
    completed = open_export(tmp_path).about
    assert completed["map_geometry"] == about["map_geometry"]
    assert completed["streams"] == about["streams"] == (name == "predictive_vrnn")


def test_a_vrnn_of_segments_has_no_posterior_along_the_speech():
    spec = get_spec("mfcc40-windows-short")
    direct = Direct("predictive_vrnn", exports.VRNN, spec, Segments(4, 4))
    assert not direct.export.streams
    with pytest.raises(ConfigError, match="a predictive VRNN that was tested on segments"):
        direct(speech(1.5))


def test_features_of_the_whole_recording_do_not_stream():
    direct = Direct("predictive_vrnn", exports.VRNN, get_spec("mel64-prosody"), WHOLE)
    assert not direct.export.streams
    with pytest.raises(ConfigError, match="or whose features need the whole recording"):
        direct(speech(1.5))


def test_what_a_server_computes_is_explained_without_tensorflow(server, published):
    model, recording = published
    code = f"""
import sys
from pathlib import Path
from serving.client.client import SerClient
from serving.explain.described_export import open_export
from serving.explain.explain import explain, read_part
from serving.explain.signature_runners import client_signatures
waveform = read_part(Path({str(recording)!r}), 1.0, 1.0, {RATE})
with SerClient("localhost:{server.port}", "moma") as client:
    run = client_signatures(client)
    explanation = explain(open_export(Path({str(model)!r})), run, waveform, source="a.wav")
sys.exit("tensorflow" in sys.modules or explanation.in_words.count("%") != 3)
"""
    completed = exports.completed(sys.executable, "-c", code, cwd=ROOT)
    assert completed.returncode == 0, completed.stderr
