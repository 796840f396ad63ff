"""`ser enrol` measures a voice into a file, which `ser predict --speaker` takes."""

import json

import numpy as np
import pytest
import soundfile

from ser_keras.errors import AudioError, ConfigError
from serving.client.speaker_statistics import Statistics
from tests.serving import adapted, exports
from tests.serving.client.described import described


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A described export of a small model with an adapted track."""
    served = adapted.small()
    published = tmp_path_factory.mktemp("models") / "attention_cnn"
    exports.publish(served, published)
    return described(served, published, tmp_path_factory.mktemp("described"))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Three recordings of a voice, and one of silence."""
    base = tmp_path_factory.mktemp("voice")
    for number, clip in enumerate(exports.clips(3, seed=5, least=24000, most=32000)):
        soundfile.write(base / f"{number}.wav", clip, exports.RATE, subtype="FLOAT")
    soundfile.write(base / "silence.wav", np.zeros(8000), exports.RATE)
    return sorted(base.glob("*.wav"))


@pytest.mark.slow
def test_a_voice_is_measured_and_changes_the_answer(ser, folder, files, tmp_path):
    line = ["enrol", "anna", *files, "--model", folder, "--output", tmp_path]
    code, out, _ = ser(*line)
    assert code == 0
    assert "silence.wav: no speech found: 8000 samples" in out
    assert "anna.voice: " in out
    assert "s of 3 recordings" in out
    voice = tmp_path / "anna.voice"
    assert Statistics.read(voice).values["embedding_statistics"][0] == 3
    asked = ["predict", files[0], "--model", folder, "--json"]
    blind, known = (json.loads(ser(*asked, *more)[1]) for more in ([], ["--speaker", voice]))
    assert (blind["track"], known["track"]) == ("blind", "adapted")
    assert blind["probabilities"] != known["probabilities"]
    code, _, err = ser(*line)
    assert code == ConfigError.exit_code
    assert "is there already. Pass --add" in err
    code, _, _ = ser(*line, "--add")
    assert code == 0
    assert Statistics.read(voice).values["embedding_statistics"][0] == 6


@pytest.mark.slow
def test_nothing_is_written_where_nobody_speaks(ser, folder, files, tmp_path):
    code, _, err = ser("enrol", "x", files[-1], "--model", folder, "--output", tmp_path)
    assert code == AudioError.exit_code
    assert "none of the 1 files can be used" in err
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_does_not_adapt_says_so(ser, moma, files, tmp_path):
    about = described(*moma, tmp_path / "described")
    code, _, err = ser("enrol", "x", files[0], "--model", about, "--output", tmp_path)
    assert code == ConfigError.exit_code
    assert "it takes no enrolment" in err


@pytest.mark.parametrize("name", ["../anna", "a/b", "", "/anna"])
def test_a_voice_is_written_into_its_folder_alone(ser, tmp_path, name):
    code, _, err = ser("enrol", name, tmp_path / "none.wav", "--output", tmp_path / "voices")
    assert code == 2
    assert "enrol: found the name" in err
