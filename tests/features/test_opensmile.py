import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from ser_keras.errors import ConfigError
from ser_keras.features.extract import extract
from ser_keras.features.specs import get_spec, name_of_spec, spec_from_dict
from tests.features.test_extract import speech_like

DIMS = {"compare": 6373, "egemaps": 88}


def glottal_pulses(frequency_hz: float, gain: float) -> np.ndarray:
    """Returns one second of a voice-like tone: harmonics that fall by 6 dB an octave."""
    time_s = np.arange(16000) / 16000
    voice = sum(np.sin(2 * math.pi * k * frequency_hz * time_s) / k for k in range(1, 20))
    return (gain * voice).astype(np.float32)


@pytest.fixture
def opensmile():
    return pytest.importorskip("opensmile", reason="pip install -e '.[opensmile]'")


@pytest.mark.parametrize("name", DIMS)
@pytest.mark.parametrize("samples", [0, 1, 959, 960, 16000, 50000])
def test_a_recording_of_any_length_has_one_finite_row(opensmile, name, samples):
    spec = get_spec(name)
    functionals = extract(spec, speech_like(60000)[10000 : 10000 + samples])
    assert functionals.shape == (spec.num_frames(samples), spec.dim) == (1, DIMS[name])
    assert functionals.dtype == np.float32
    assert np.isfinite(functionals).all()


@pytest.mark.parametrize("name", DIMS)
def test_values_equal_those_of_opensmile_on_a_file(opensmile, name, tmp_path):
    waveform = speech_like(24000)
    soundfile.write(tmp_path / "speech.wav", waveform, 16000, subtype="FLOAT")
    smile = opensmile.Smile(
        feature_set={"compare": "ComParE_2016", "egemaps": "eGeMAPSv02"}[name],
        feature_level="func",
    )
    table = smile.process_file(tmp_path / "speech.wav")
    np.testing.assert_array_equal(extract(get_spec(name), waveform), table.to_numpy())


@pytest.mark.parametrize("frequency_hz", [110.0, 220.0])
def test_the_pitch_of_a_tone_is_among_the_functionals(opensmile, frequency_hz):
    # The first functional of eGeMAPS is the mean F0 in semitones above 27.5 Hz.
    functionals = extract(get_spec("egemaps"), glottal_pulses(frequency_hz, 0.1))[0]
    assert functionals[0] == pytest.approx(12 * math.log2(frequency_hz / 27.5), abs=0.1)


def test_the_same_recording_gives_the_same_values_in_any_order_and_thread(opensmile):
    recordings = [speech_like(samples, seed) for seed, samples in enumerate((9000, 30000, 21000))]
    spec = get_spec("compare")
    alone = [extract(spec, waveform) for waveform in recordings]
    backwards = [extract(spec, waveform) for waveform in reversed(recordings)][::-1]
    with ThreadPoolExecutor(3) as pool:
        at_once = list(pool.map(lambda waveform: extract(spec, waveform), recordings))
    np.testing.assert_array_equal(backwards, alone)
    np.testing.assert_array_equal(at_once, alone)


def test_trimming_comes_before_the_functionals(opensmile):
    speech = glottal_pulses(150.0, 0.1)
    short, long = (np.pad(speech, hops * 160) for hops in (20, 100))
    whole, trimmed = get_spec("egemaps"), get_spec("egemaps", trim_db=35)
    np.testing.assert_array_equal(extract(trimmed, short), extract(trimmed, long))
    assert np.abs(extract(whole, short) - extract(whole, long)).max() > 1


def test_a_spec_is_known_again_by_its_name():
    for name in DIMS:
        assert name_of_spec(spec_from_dict(get_spec(name, trim_db=40).to_dict())) == name


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"feature_set": "emobase"}, "expected one of compare, egemaps"),
        ({"hop_s": 0.02}, "found hop_s = 0.02, expected 0.01, which openSMILE's set fixes"),
        ({"sample_rate_hz": 22050, "fft_points": 2048}, "expected 16000, which openSMILE"),
    ],
)
def test_what_the_sets_fix_cannot_be_changed(overrides, sentence):
    with pytest.raises(ConfigError) as error:
        get_spec("compare", **overrides)
    assert sentence in str(error.value)


def test_a_missing_package_is_named_with_its_extra():
    code = (
        "import sys; sys.modules['opensmile'] = None\n"
        "import numpy as np\n"
        "from ser_keras.features.specs import get_spec\n"
        "get_spec('egemaps').compute(np.zeros(16000, np.float32))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "found no package opensmile" in done.stderr
    assert "-e '.[opensmile]'" in done.stderr


def test_the_feature_job_publishes_one_row_for_each_recording(opensmile, tmp_path):
    from pipeline.features.job import build_feature_set
    from ser_keras.corpora.synthetic import write_corpus
    from ser_keras.data.example import decode_example
    from ser_keras.data.feature_set import FeatureSet
    from ser_keras.data.record_files import read_framed

    corpus = write_corpus(tmp_path / "corpus", num_speakers=2, utterances_per_class=1, seed=0)
    path = build_feature_set("synthetic", corpus, get_spec("egemaps"), tmp_path / "features")
    features = FeatureSet.open(path)
    assert features.schema.spec_name == "egemaps"
    assert {row.frames for row in features.rows} == {1}
    assert features.manifest["versions"]["opensmile"]
    records = [r for shard in features.shard_paths for r in read_framed(shard)]
    for key, functionals in map(decode_example, records):
        name = key.removeprefix("synthetic/")
        file = corpus / name.partition("_")[0] / f"{name}.wav"
        waveform, _ = soundfile.read(file, dtype="float32")
        np.testing.assert_array_equal(functionals, extract(get_spec("egemaps"), waveform))
