import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ser_keras.audio import read_audio
from ser_keras.corpora import synthetic
from ser_keras.corpora.voice import TONES, Tone, Voice, person, speak
from ser_keras.errors import ConfigError, CorpusError
from ser_keras.labels import CLASS_SETS

MAN = Voice(pitch_hz=110, tract=1.0, tempo=1.0, level_db=0, tilt_db=0)
PLAIN = Tone(0, 0, 1.0, 0, 0, 1.0)


def digest(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("synthetic") / "corpus"
    return synthetic.write_corpus(root, num_speakers=2, utterances_per_class=2)


@pytest.mark.parametrize(
    ("stem", "speaker", "label", "sentence", "gender"),
    [
        ("s01_angry_00", "s01", "angry", "0", "female"),
        ("s02_sad_07", "s02", "sad", "2", "male"),
        ("s99_neutral_99", "s99", "neutral", "4", "female"),
        ("s10_happy_05", "s10", "happy", "0", "male"),
        ("s03_happy_4", "s03", "happy", "4", "female"),
    ],
)
def test_name_gives_every_field(stem, speaker, label, sentence, gender):
    assert synthetic.parse_stem(stem) == {
        "speaker": speaker,
        "label": label,
        "sentence": sentence,
        "gender": gender,
    }


@pytest.mark.parametrize("stem", ["s01_calm_00", "x01_sad_00", "s01_sad", "s_sad_0", "sad", ""])
def test_foreign_name_is_refused(stem):
    with pytest.raises(CorpusError, match=r"Synthetic corpus: .*expected"):
        synthetic.parse_stem(stem)


def test_written_tree_is_read(small):
    utterances = synthetic.read(small)
    assert Counter(u.label for u in utterances) == dict.fromkeys(
        CLASS_SETS["synthetic4"].classes, 4
    )
    assert Counter((u.speaker, u.gender) for u in utterances) == {
        ("s01", "female"): 8,
        ("s02", "male"): 8,
    }
    waveform = read_audio(utterances[0].path)
    assert 0.3 < waveform.size / 16000 < 4
    assert np.abs(waveform).max() < 1


def test_same_seed_gives_the_same_bytes_and_another_does_not(small, tmp_path):
    repeated = synthetic.write_corpus(tmp_path / "again", num_speakers=2, utterances_per_class=2)
    reseeded = synthetic.write_corpus(
        tmp_path / "other", num_speakers=2, utterances_per_class=2, seed=1
    )
    assert digest(repeated) == digest(small)
    assert not set(digest(reseeded).values()) & set(digest(small).values())


def test_no_two_recordings_are_equal(small):
    assert len(set(digest(small).values())) == 16 + 1


def test_second_call_writes_nothing(small):
    before = {path: path.stat().st_mtime_ns for path in small.rglob("*")}
    synthetic.write_corpus(small, num_speakers=2, utterances_per_class=2)
    assert {path: path.stat().st_mtime_ns for path in small.rglob("*")} == before


def test_other_parameters_do_not_overwrite(small):
    with pytest.raises(CorpusError, match=r"holds .*'num_speakers': 2.*already.*another folder"):
        synthetic.write_corpus(small, num_speakers=3, utterances_per_class=2)


def test_strange_files_are_not_overwritten(tmp_path):
    (tmp_path / "thesis.txt").write_text("dear")
    with pytest.raises(CorpusError, match="holds other files already"):
        synthetic.write_corpus(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_interrupted_writing_leaves_nothing(tmp_path, monkeypatch):
    written = []

    def fail_at_third(path, waveform):
        written.append(path)
        if len(written) == 3:
            raise OSError("No space left on device")

    monkeypatch.setattr(synthetic, "write_wav", fail_at_third)
    with pytest.raises(OSError, match="No space left"):
        synthetic.write_corpus(tmp_path / "corpus", num_speakers=1, utterances_per_class=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("numbers", [{"num_speakers": 0}, {"utterances_per_class": 100}])
def test_numbers_out_of_range_are_refused(tmp_path, numbers):
    with pytest.raises(ConfigError, match="expected 1 to 99"):
        synthetic.write_corpus(tmp_path / "corpus", **numbers)


def test_missing_recording_is_noticed(tmp_path):
    root = synthetic.write_corpus(tmp_path / "corpus", num_speakers=1, utterances_per_class=1)
    (root / "s01" / "s01_sad_00.wav").unlink()
    with pytest.raises(CorpusError, match="found 3 recordings, expected 4"):
        synthetic.read(root)
    assert len(synthetic.read(root, allow_partial=True)) == 3


def test_tree_without_marker_is_noticed(tmp_path):
    root = synthetic.write_corpus(tmp_path / "corpus", num_speakers=1, utterances_per_class=1)
    assert json.loads((root / ".completed").read_text())["utterances_per_class"] == 1
    (root / ".completed").unlink()
    with pytest.raises(CorpusError, match=r"expected a \.completed marker"):
        synthetic.read(root)


@pytest.mark.parametrize("marker", ["", "[]", '{"corpus": "ravdess"}'])
def test_strange_marker_counts_as_none(tmp_path, marker):
    root = synthetic.write_corpus(tmp_path / "corpus", num_speakers=1, utterances_per_class=1)
    (root / ".completed").write_text(marker)
    with pytest.raises(CorpusError, match=r"expected a \.completed marker"):
        synthetic.read(root)


def test_pitch_is_the_asked_one():
    waveform = speak("aaaaaa", MAN, PLAIN, np.random.default_rng(0))
    middle = waveform[6000:12000] - waveform[6000:12000].mean()
    correlation = np.correlate(middle, middle, "full")[middle.size - 1 :]
    lag = 40 + int(np.argmax(correlation[40:400]))
    assert 16000 / lag == pytest.approx(110, rel=0.05)


def test_resonances_are_where_the_vowel_says():
    def loudest_hz(vowel, low, high):
        waveform = speak(vowel * 6, MAN, PLAIN, np.random.default_rng(0))
        power = np.abs(np.fft.rfft(waveform)) ** 2
        hz = np.fft.rfftfreq(waveform.size, 1 / 16000)
        inside = (hz > low) & (hz < high)
        return float((hz[inside] * power[inside]).sum() / power[inside].sum())

    assert loudest_hz("i", 150, 1000) < 400 < 600 < loudest_hz("a", 150, 1000)
    assert loudest_hz("u", 600, 3000) < 1200 < 1800 < loudest_hz("i", 600, 3000)


def test_tones_change_level_and_tempo():
    def say(label):
        return speak("aeiou", MAN, TONES[label], np.random.default_rng(0))

    angry, sad = say("angry"), say("sad")
    assert angry.size < 0.8 * sad.size
    assert 20 * np.log10(angry.std() / sad.std()) > 6


def test_odd_persons_speak_higher():
    women = [person(number, seed=0).pitch_hz for number in (1, 3, 5, 7)]
    men = [person(number, seed=0).pitch_hz for number in (2, 4, 6, 8)]
    assert min(women) > max(men)


def log_mel_statistics(waveform: np.ndarray) -> np.ndarray:
    """Returns mean and deviation of 40 log-mel bands, as plainly as they can be computed."""
    frames = np.lib.stride_tricks.sliding_window_view(waveform, 400)[::160] * np.hanning(400)
    power = np.abs(np.fft.rfft(frames, 512)) ** 2
    mel = 2595 * np.log10(1 + np.arange(257) * 16000 / 512 / 700)
    edges = np.linspace(100, 2800, 42)
    rising = (mel - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - mel) / (edges[2:] - edges[1:-1])[:, None]
    bands = np.log(power @ np.clip(np.minimum(rising, falling), 0, None).T + 1e-6)
    return np.concatenate([bands.mean(0), bands.std(0)])


@pytest.mark.slow
def test_labels_are_learnable_from_other_speakers_but_not_trivial(tmp_path):
    from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    utterances = synthetic.read(synthetic.write_corpus(tmp_path / "corpus"))
    features = np.array([log_mel_statistics(read_audio(u.path)) for u in utterances])
    labels = np.array([u.label for u in utterances])
    speakers = [u.speaker for u in utterances]

    def accuracy(columns):
        machine = make_pipeline(StandardScaler(), SVC(C=10))
        folds = LeaveOneGroupOut()
        predicted = cross_val_predict(machine, columns, labels, groups=speakers, cv=folds)
        return float(np.mean(predicted == labels))

    assert accuracy(features) > 0.75
    assert max(accuracy(features[:, [band]]) for band in range(0, 80, 5)) < 0.9
