"""What the page of `ser web` says and shows, on a real export behind the real local server."""

import base64
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_keras.errors import AudioError, ConfigError, NoSpeechError, SchemaError
from serving.cli.web import web
from serving.client.client import SerClient
from serving.client.connection import ServerError
from serving.explain.described_export import open_export
from serving.explain.explain import explain
from serving.explain.signature_runners import client_signatures
from serving.web import model_facts
from serving.web.local_server import Published, local_server
from serving.web.model_facts import card, facts
from serving.web.recognition import LONGEST_S, recognize, samples_of
from serving.web.texts import NARROWEST_PX, WIDEST_PX
from serving.web.view import (
    Models,
    error_html,
    picture_width,
    summary,
    timeline_view,
    voice_html,
    window_names,
)
from serving.web.voice import learn
from tests.architecture import ROOT
from tests.serving import exports
from tests.serving.client.described import described

RATE = exports.RATE


@pytest.fixture(scope="module")
def published(moma, tmp_path_factory):
    """The small MOMA with its card."""
    return Published.open(described(*moma, tmp_path_factory.mktemp("described")))


@pytest.fixture(scope="module")
def client(server):
    with SerClient(f"localhost:{server.port}", "moma") as asking:
        yield asking


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """A file of 11 s at another rate, in stereo."""
    clip = np.concatenate(exports.clips(8, seed=3, least=39000))[: 11 * RATE]
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    soundfile.write(path, np.stack([clip, clip / 2], axis=1), 22050, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def recognition(client, speech):
    return recognize(client, speech)


# === Recognition ===


def test_a_recognition_is_what_the_client_says_of_the_whole_and_of_the_windows(
    client, speech, recognition
):
    windows = list(client.timeline(speech))
    starts = [window.start_s for window in recognition.windows]
    assert starts == [window.start_s for window in windows]
    for window, expected in zip(recognition.windows, windows, strict=True):
        assert window.probabilities == pytest.approx(expected.probabilities, abs=1e-6)
    whole = client.predict(speech)
    assert recognition.whole
    assert recognition.overall.label == whole.label
    assert recognition.overall.probabilities == pytest.approx(whole.probabilities, abs=1e-6)
    assert recognition.overall.start_s == 0
    assert recognition.overall.end_s == pytest.approx(recognition.duration_s, abs=1e-3)


def test_a_long_recording_tells_its_progress_and_keeps_no_maps(client, tmp_path):
    clip = exports.clips(1, seed=1, least=39000)[0]
    path = tmp_path / "long.flac"
    soundfile.write(path, np.resize(clip, 40 * RATE), RATE)
    progress = []
    recognition = recognize(client, path, lambda share, text: progress.append((share, text)))
    shares = [share for share, _ in progress]
    assert shares == sorted(shares)
    assert len(set(shares)) == len(recognition.windows) == 19
    assert progress[-1] == (1.0, "analysed 0:40 of 0:40")
    assert not any(window.maps for window in (recognition.overall, *recognition.windows))
    assert not recognition.whole
    assert (recognition.overall.start_s, recognition.overall.end_s) == (0, 40)
    means = {
        name: np.mean([window.probabilities[name] for window in recognition.windows])
        for name in exports.CLASSES
    }
    assert recognition.overall.probabilities == pytest.approx(means)
    assert recognition.overall.label == max(means, key=means.get)


@pytest.mark.slow
def test_a_voice_is_learned_and_used(adapted_server, speech, tmp_path):
    _, server = adapted_server
    long = tmp_path / "long.wav"
    clip = exports.clips(1, seed=2, least=32000, most=32001)[0]
    # Four windows of 4 s, of which the third is silent.
    silent = np.zeros(4 * RATE)
    soundfile.write(long, np.concatenate([*[clip] * 4, silent, clip, clip]), RATE)
    with SerClient(f"localhost:{server.port}", "adapted", timeout_s=120) as adapting:
        voice = learn(adapting, long)
        assert voice.model == "adapted"
        assert voice.duration_s == pytest.approx(12, abs=0.1)
        assert voice.statistics.values["embedding_statistics"][0] == 3
        blind = recognize(adapting, speech)
        known = recognize(adapting, speech, statistics=voice.statistics)
    assert (blind.overall.track, known.overall.track) == ("blind", "adapted")
    assert {window.track for window in known.windows} == {"adapted"}
    assert known.overall.probabilities != blind.overall.probabilities
    assert "by what the model knows of this voice" in summary(known)
    assert "knows this voice from 12 s of speech" in voice_html(voice)


def test_little_speech_and_models_that_do_not_adapt_are_refused(client, speech):
    with pytest.raises(ConfigError, match="moma cannot get to know a voice"):
        learn(client, speech)


@pytest.mark.slow
def test_a_word_is_too_little_of_a_voice(adapted_server, tmp_path):
    _, server = adapted_server
    path = tmp_path / "word.wav"
    soundfile.write(path, exports.clips(1, seed=2, least=32000, most=32001)[0], RATE)
    refusal = pytest.raises(AudioError, match=r"word\.wav: found 2 s of speech, expected 10 s")
    with SerClient(f"localhost:{server.port}", "adapted", timeout_s=120) as adapting, refusal:
        learn(adapting, path)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda path: path.write_text("no speech"), r"found content that starts with b'no speec'"),
        (
            lambda path: soundfile.write(path, np.zeros(0), RATE),
            r"no speech found: 0 samples \(0\.0000 s\)",
        ),
        (lambda path: path.write_bytes(b""), r"found an empty file \(0 bytes\)"),
        (
            lambda path: soundfile.write(path, np.zeros(RATE), RATE),
            r"no speech found: \d+ samples that are all zero",
        ),
    ],
    ids=["text", "no samples", "no bytes", "silence"],
)
def test_a_bad_file_is_named_without_its_folder(client, tmp_path, write, reason):
    path = tmp_path / "mine.wav"
    write(path)
    with pytest.raises(AudioError, match=rf"^mine\.wav: {reason}, expected "):
        recognize(client, path)


def test_a_recording_without_speech_gets_no_answer(client, tmp_path):
    path = tmp_path / "tone.flac"
    soundfile.write(path, 0.3 * np.sin(np.arange(9 * RATE) / 9), RATE)
    with pytest.raises(NoSpeechError, match=r"^tone\.flac: no speech found in 9\.00 s"):
        recognize(client, path)


def test_windows_without_speech_are_empty_and_count_for_nothing(client, tmp_path):
    clip = exports.clips(1, seed=1, least=39000)[0]
    path = tmp_path / "pause.flac"
    soundfile.write(path, np.concatenate([np.resize(clip, 20 * RATE), np.zeros(20 * RATE)]), RATE)
    recognition = recognize(client, path)
    spoken = [window for window in recognition.windows if window.probabilities]
    assert 9 <= len(spoken) < len(recognition.windows) == 19
    assert recognition.overall.end_s == 40
    for name, probability in recognition.overall.probabilities.items():
        mean = np.mean([window.probabilities[name] for window in spoken])
        assert probability == pytest.approx(mean)
    view, picture = timeline_view(recognition, 18, 600)
    assert view.marked == 18
    assert picture.width > 0


def test_a_recording_of_many_hours_is_refused_before_it_is_read(client, tmp_path):
    path = tmp_path / "day.wav"
    samples = np.zeros(round(4000 * (LONGEST_S + 1)), np.int16)
    soundfile.write(path, samples, 4000, subtype="PCM_U8")
    with pytest.raises(AudioError, match=r"day\.wav: found 7201\.0 s, expected at most 7200 s"):
        recognize(client, path)


def test_the_refusal_of_a_server_is_raised(server, speech):
    with (
        SerClient(f"localhost:{server.port}", "nobody") as client,
        pytest.raises(ServerError, match="nobody"),
    ):
        recognize(client, speech)


def test_a_stretch_of_a_recording_is_that_of_the_whole(speech):
    samples, rate = soundfile.read(speech)
    mono = samples.mean(axis=1)
    part = samples_of(speech, 2.0, 3.0, rate)
    np.testing.assert_allclose(part, mono[2 * rate : 3 * rate], atol=1e-4)
    assert len(samples_of(speech, 2.0, 3.0, RATE)) == RATE


def test_a_recording_that_was_deleted_is_asked_for_again(tmp_path):
    with pytest.raises(AudioError, match="deleted after an hour"):
        samples_of(tmp_path / "gone.wav", 0.0, 1.0, RATE)


# === What is shown ===


@pytest.mark.parametrize("width_px", [300, 760])
def test_a_click_in_the_picture_finds_the_window_there(recognition, width_px):
    view, picture = timeline_view(recognition, 1, width_px)
    # Twice the dots, for screens that have them.
    assert picture.width == 2 * width_px
    assert 0 < view.left_px < view.right_px < picture.width
    per_second = (view.right_px - view.left_px) / recognition.duration_s
    for number, window in enumerate(recognition.windows):
        middle = (window.start_s + window.end_s) / 2
        assert view.window_at(view.left_px + per_second * middle) == number
    assert view.window_at(0) == 0
    assert view.window_at(picture.width) == len(recognition.windows) - 1


def test_the_marked_window_is_seen_where_it_is(recognition):
    view, first = timeline_view(recognition, 0, 500)
    _, last = timeline_view(recognition, len(recognition.windows) - 1, 500)
    differing = np.flatnonzero(np.any(np.asarray(first) != np.asarray(last), axis=(0, 2)))
    middle = (view.left_px + view.right_px) / 2
    assert differing.min() < middle < differing.max()
    # In the middle of its height a frame has two sides; between them nothing changes.
    middle = first.height // 2
    assert np.any(np.asarray(first)[middle] != np.asarray(last)[middle], axis=1).sum() < (
        first.width / 10
    )


def test_doubts_are_named_with_the_likeliest_in_the_answer_and_in_the_list(recognition):
    unsure, sure = (replace(recognition, uncertain_below=limit) for limit in (1.0, 0.01))
    likeliest = recognition.overall.label
    sentence = f"moma says: <strong>uncertain</strong>, {likeliest} is only the likeliest. "
    assert sentence in summary(unsure)
    assert summary(sure) == summary(recognition)
    assert "uncertain" not in summary(recognition)
    assert window_names(sure) == window_names(recognition)
    for window, name in zip(recognition.windows, window_names(unsure), strict=True):
        assert re.fullmatch(rf"\d: 0:\d\d - 0:\d\d, uncertain: {window.label} \d+ %", name)


def test_doubts_are_seen_in_the_picture_where_they_are(recognition):
    shares = [max(window.probabilities.values()) for window in recognition.windows]
    limit = float(np.mean(shares))
    view, mixed = timeline_view(replace(recognition, uncertain_below=limit), 0, 500)
    _, sure = timeline_view(replace(recognition, uncertain_below=0.01), 0, 500)
    _, without = timeline_view(recognition, 0, 500)
    assert without.height < sure.height == mixed.height
    differing = np.flatnonzero(np.any(np.asarray(mixed) != np.asarray(sure), axis=(0, 2)))
    uncertain = {number for number, share in enumerate(shares) if share < limit}
    assert 0 < len(uncertain) < len(shares)
    assert {view.window_at(column) for column in differing} == uncertain


def test_a_window_has_a_player_and_a_picture_with_the_attention(client, published, recognition):
    with_export = Models({"moma": client}, {"moma": published})
    without = Models({"moma": client}, {})
    html, picture, words = with_export.window(recognition, 2, 500)
    data = re.search(r'src="data:audio/wav;base64,([^"]+)"', html).group(1)
    sound, rate = soundfile.read(io.BytesIO(base64.b64decode(data)))
    window = recognition.windows[2]
    assert rate == RATE
    expected = samples_of(recognition.path, window.start_s, window.end_s, RATE)
    np.testing.assert_allclose(sound, expected, atol=1e-4)
    assert "autoplay" not in html
    assert "autoplay" in with_export.window(recognition, 2, 500, play=True)[0]
    assert words.startswith(f"moma says of this window: {recognition.windows[2].label} ")
    assert words.count("%") == 3
    doubtful = replace(recognition, uncertain_below=1.0)
    words = with_export.window(doubtful, 2, 500)[2]
    assert words.startswith(f"moma says of this window: uncertain: {recognition.windows[2].label} ")
    _, plain, note = without.window(recognition, 2, 500)
    assert "Its attention is not known" in note
    assert picture.size == plain.size
    assert (np.asarray(picture) != np.asarray(plain)).mean() > 0.01


def test_what_cannot_be_explained_is_shown_with_the_reason(
    server, published, recognition, tmp_path
):
    with SerClient(f"localhost:{server.port}", "nobody") as nobody:
        _, _, words = Models({"moma": nobody}, {"moma": published}).window(recognition, 0, 500)
    assert "Its attention is not known: " in words
    assert "nobody" in words
    streaming = Published.open(shutil.copytree(published.folder, tmp_path / "moma"))
    description = streaming.newest / "assets.extra" / "model.json"
    about = json.loads(description.read_text()) | {"streams": True}
    description.write_text(json.dumps(about))
    with SerClient(f"localhost:{server.port}", "moma") as client:
        _, _, words = Models({"moma": client}, {"moma": streaming}).window(recognition, 0, 500)
    assert "its signature explain returns no step_logits" in words


def test_a_server_with_mutual_tls_explains_to_a_client_with_a_certificate(
    closed, published, recognition
):
    with closed.client("moma") as client:
        _, _, words = Models({"moma": client}, {"moma": published}).window(recognition, 0, 500)
    assert "not known" not in words


def test_names_from_outside_are_text_not_markup(recognition):
    overall = replace(recognition.overall, label="<u>x</u>", probabilities={"<u>x</u>": 0.9})
    odd = replace(recognition, model="<b>m</b>", overall=overall)
    doubtful = replace(odd, uncertain_below=1.0)
    shown = summary(odd) + summary(doubtful) + error_html(ConfigError("<script>"))
    assert "<b>" not in shown
    assert "<u>" not in shown
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


ODD = "<img src=http://evil.example/a.png onerror=alert(1)> ![b](http://evil.example/b.png) {}"


def test_what_a_strangers_model_says_of_itself_is_text(published, tmp_path):
    strange = Published.open(shutil.copytree(published.folder, tmp_path / "strange"))
    extra = strange.newest / "assets.extra"
    about = json.loads((extra / "model.json").read_text())
    about |= {"classes": [ODD, "**b**"], "dataset": ODD}
    (extra / "model.json").write_text(json.dumps(about))
    lines = [f"# {ODD}", "[c](javascript:alert(1))", "<http://evil.example/c>", "[d]", ""]
    lines += ["[d]: http://evil.example/d", "", "| a |", "|---|", f"| {ODD} |", "", "<script>", "x"]
    (extra / "model_card.md").write_text("\n".join(lines))
    shown = facts(ODD, strange) + card(strange)
    tags = set(re.findall(r"<(\w+[^>]*)>", shown))
    assert tags == {"p", "strong", "h3", "table", "thead", "tbody", "tr", "th", "td"}
    assert "&lt;img src=http://evil.example/a.png" in shown
    assert "![b](http://evil.example/b.png)" in shown
    assert "**b**" in shown


def test_a_description_that_is_damaged_is_named(published, tmp_path):
    damaged = Published.open(shutil.copytree(published.folder, tmp_path / "damaged"))
    description = damaged.newest / "assets.extra" / "model.json"
    for content in ("[" * 100_000, "{}", ""):
        description.write_text(content)
        with pytest.raises(SchemaError, match=r"model\.json: .* Export the model"):
            facts("moma", damaged)


@pytest.mark.parametrize(
    ("sent", "width"),
    [
        (390.4, 390),
        (1, NARROWEST_PX),
        (10**9, WIDEST_PX),
        (float("nan"), WIDEST_PX),
        (float("inf"), WIDEST_PX),
        (-float("inf"), WIDEST_PX),
        (None, WIDEST_PX),
        ("390", WIDEST_PX),
        ([390], WIDEST_PX),
    ],
)
def test_pictures_are_as_wide_as_the_page_whatever_a_browser_sends(sent, width):
    assert picture_width(sent) == width


def test_names_with_dollars_are_drawn_and_set_no_formula(recognition):
    names = ["$\\frac{$", "a$b$c", "<b>", "\N{SNOWMAN}"]

    def renamed(window):
        values = window.probabilities.values()
        return replace(window, label=names[0], probabilities=dict(zip(names, values, strict=True)))

    odd = replace(
        recognition,
        overall=renamed(recognition.overall),
        windows=tuple(map(renamed, recognition.windows)),
    )
    _, picture = timeline_view(odd, 0, 500)
    assert picture.width == 1000


def test_the_page_says_which_data_a_model_learnt_from_and_how_often_it_is_right(published):
    text = facts("moma", published)
    assert "EmoDB" in text
    assert "290 recordings" in text
    assert "61 % of the recordings of speakers new to it" in text
    assert "guessing gets 25 %" in text
    for name in exports.CLASSES:
        assert name in text
    assert card(published).startswith("<h3>moma: emotion from speech</h3>")
    assert "<h4>Limits</h4>" in card(published)
    assert "<table>" in card(published)


def test_the_page_promises_the_blind_score_and_names_the_adapted_one(published, monkeypatch):
    tracks = {"adapted": {"ua": 0.875, "wa": 0.5}, "blind": {"ua": 0.5, "wa": 0.5}}
    about = model_facts.description(published) | {"track": "adapted", "track_scores": tracks}
    monkeypatch.setattr(model_facts, "description", lambda export: about)
    text = facts("moma", published)
    assert "recognised 50 % of the recordings of speakers new to it" in text
    assert "recognised 88 % where it also knew other recordings of the speaker" in text


def test_without_its_export_the_training_data_of_a_model_are_unknown(moma):
    assert "The training data of <strong>moma</strong> are unknown here" in facts("moma", None)
    bare = Published.open(moma[1])
    assert facts("moma", bare) == facts("moma", None)
    assert card(bare) == ""


# === Models and servers ===


def test_an_export_is_named_by_its_model_or_by_one_of_its_versions(moma, tmp_path):
    folder = moma[1].resolve()
    assert Published.open(folder) == Published("moma", folder)
    assert Published.open(folder / "1") == Published("moma", folder, 1)
    assert Published.open(folder).newest == folder / "1"
    with pytest.raises(ConfigError, match="found no version of a model"):
        Published.open(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"server": "localhost:1"}, "found --server and no model, .* Add --model"),
        ({"model": ["moma"]}, "--model is for models of a --server"),
        ({"root_certificate": Path("no.pem"), "server": "a:1", "model": ["m"]}, r"no\.pem"),
        ({"root_certificate": Path("no.pem")}, "--root-certificate, .* are for a --server"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        web(**options)


def test_an_export_that_is_not_among_the_models_is_refused(published):
    folder = published.folder
    with pytest.raises(ConfigError, match="found moma, expected each once and among --model other"):
        web(export=[folder], server="localhost:1", model=["other"])
    with pytest.raises(ConfigError, match="found moma, moma, expected each once"):
        web(export=[folder, folder])


@pytest.mark.slow
def test_the_local_server_answers_and_ends_with_the_block(published, speech):
    with local_server([published]) as endpoint, SerClient(endpoint, "moma") as client:
        client.wait_until_available(60.0)
        recognition = recognize(client, speech)
        waveform = samples_of(speech, 0.0, 4.0, RATE)
        export, run = open_export(published.newest), client_signatures(client)
        explanation = explain(export, run, waveform, source="moma", start_s=5.0)
        first = recognition.windows[0]
        assert explanation.probabilities == pytest.approx(first.probabilities, abs=1e-5)
        assert explanation.end_s == pytest.approx(9.0)
    with SerClient(endpoint, "moma", timeout_s=1.0) as client, pytest.raises(ServerError):
        client.predict(speech)


@pytest.mark.slow
def test_the_local_server_ends_when_its_parent_is_killed(published, speech):
    code = (
        "import time; from pathlib import Path; "
        "from serving.web.local_server import Published, local_server\n"
        f"with local_server([Published.open(Path({str(published.folder)!r}))]) as endpoint:\n"
        "    print(endpoint, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as asks:
        endpoint = asks.stdout.readline().strip()
        with SerClient(endpoint, "moma", timeout_s=2.0) as client:
            client.wait_until_available(60.0)
            os.kill(asks.pid, signal.SIGKILL)
            for _ in range(100):
                try:
                    client.predict(speech)
                except ServerError:
                    break
                time.sleep(0.2)
            else:
                pytest.fail("the server outlived who started it by 20 s")
