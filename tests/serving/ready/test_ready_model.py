"""The model that comes with the package: whole, small, honest about itself, and the default."""

import hashlib
import json
import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from ser_keras.audio import read_audio
from ser_keras.corpora import get_corpus
from ser_keras.errors import NoSpeechError
from serving.explain.described_export import open_export
from serving.explain.introduction import introduction
from serving.explain.local_client import LocalClient
from serving.ready import ready_model
from tests.serving import exports

CLASSES = {"angry", "happy", "neutral", "sad"}
LARGEST_BYTES = 6_000_000
CORPORA = ("emodb", "ravdess", "nemo")


@pytest.fixture(scope="module")
def about():
    return open_export(ready_model()).about


@pytest.fixture(scope="module")
def client():
    with LocalClient(open_export(ready_model())) as opened:
        yield opened


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    soundfile.write(path, exports.clips(1, seed=2, least=32000, most=32001)[0], exports.RATE)
    return path


def test_it_is_small_and_says_what_it_is(about):
    files = [path for path in ready_model().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= LARGEST_BYTES
    assert set(about["classes"]) == CLASSES
    assert about["tracks"] == ["blind", "adapted"]
    assert about["sizes"]["test"] == 0
    assert "not for commercial use" in about["worth"]["licence"]


def test_its_files_have_the_hashes_that_are_written_beside_it():
    folder = ready_model().parent
    lines = (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    sums = dict(reversed(line.split()) for line in lines)
    actual = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in sums}
    assert len(sums) == 3
    assert actual == sums


def test_what_it_is_worth_is_there_for_each_corpus_track_and_sex(about):
    for table in ("new_corpora", "new_speakers"):
        rows = {row["corpus"]: row for row in about["worth"][table]}
        assert set(rows) == set(CORPORA)
        for row in rows.values():
            for track in ("blind", "adapted"):
                low, high = row[track]["ua_interval"]
                assert 0.25 < low <= row[track]["ua"] <= high
                assert {"female", "male"} <= row[track].keys()
    conditions = [row["condition"] for row in about["worth"]["conditions"]]
    assert conditions == ["clean", "room", "noise", "telephone", "codec", "laptop"]


def test_its_line_and_its_card_give_the_same_numbers(about):
    (card,) = ready_model().glob("*/assets.extra/model_card.md")
    text = card.read_text(encoding="utf-8")
    shares = [row["blind"]["ua"] for row in about["worth"]["new_corpora"]]
    for share in shares:
        assert f"| blind | {100 * share:.1f} |" in text
    assert f"it names {100 * min(shares):.0f} to {100 * max(shares):.0f} % right" in introduction(
        about
    )


def test_it_answers_where_no_model_is_named(ser, clip, tmp_path):
    code, out, err = ser("predict", clip, "--json")
    assert code == 0
    answer = json.loads(out)
    assert set(answer["probabilities"]) == CLASSES
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert "Model ready has heard" in err
    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(16000), exports.RATE)
    assert ser("predict", silence)[0] == NoSpeechError.exit_code


@pytest.mark.slow
def test_it_is_explained_where_no_model_is_named(ser, clip, tmp_path):
    code, out, _ = ser("explain", clip, "--output", tmp_path)
    assert code == 0
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".svg", ".json"}
    assert "pictures: " in out


@pytest.mark.realdata
def test_recordings_that_it_was_trained_on_are_recognised(client, real_data):
    right = []
    for name in CORPORA:
        utterances = get_corpus(name).read(real_data / name, allow_partial=True)
        chosen = [utterance for utterance in utterances if utterance.label in CLASSES][::25]
        for utterance in chosen:
            right.append(client.predict(read_audio(utterance.path)).label == utterance.label)
    assert len(right) > 60
    assert np.mean(right) > 0.7


@pytest.mark.realdata
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the program ffmpeg")
def test_formats_of_telephones_and_browsers_get_the_same_answer(ser, real_data, tmp_path):
    source = real_data / "emodb" / "wav" / "03a01Wa.wav"
    encoders = {"m4a": ["-c:a", "aac"], "webm": ["-c:a", "libopus"], "mp3": []}
    paths = [source]
    for suffix, encoder in encoders.items():
        paths.append(tmp_path / f"me.{suffix}")
        command = ["ffmpeg", "-loglevel", "error", "-i", source, *encoder, paths[-1]]
        subprocess.run(command, check=True, timeout=60)
    stereo = tmp_path / "me.wav"
    command = ["ffmpeg", "-loglevel", "error", "-i", source, "-ar", "44100", "-ac", "2", stereo]
    subprocess.run(command, check=True, timeout=60)
    code, out, _ = ser("predict", *paths, stereo)
    assert code == 0
    assert out.count(" s: angry ") == 5
