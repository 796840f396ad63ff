import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_keras.errors import ConfigError
from ser_keras.features.frames import FrameSpec
from ser_keras.features.kinds.logmel import LogMelSpec
from ser_keras.features.kinds.mfcc import MfccSpec
from ser_keras.features.kinds.mfcc_windows import MfccWindowsSpec
from ser_keras.features.kinds.prosody import ProsodySpec
from ser_keras.features.kinds.spectrogram import SpectrogramSpec
from ser_keras.features.specs import KINDS, SPECS, class_of_kind, get_spec, spec_from_dict
from tests.features.test_extract import FRAME_SPECS
from tests.reference import features as reference


@pytest.mark.parametrize(
    ("name", "dim", "frame_samples", "hop_samples"),
    [
        ("logmel23", 23, 400, 160),
        ("logmel40", 40, 400, 160),
        ("logmel40-deltas", 120, 400, 160),
        ("mel64-prosody", 75, 400, 160),
        ("mfcc40", 40, 1024, 320),
        ("mfcc40-windows", 40, 1024, 320),
        ("mfcc40-windows-std", 80, 1024, 320),
        ("mfcc40-windows-frames", 40 * 97, 1024, 320),
        ("mfcc40-windows-short", 40, 1024, 320),
        ("mfcc40-windows-22k", 40, 2048, 512),
        ("spectrogram200", 200, 640, 160),
        ("spectrogram400", 400, 640, 160),
    ],
)
def test_named_specs_have_the_sizes_of_the_papers(name, dim, frame_samples, hop_samples):
    spec = get_spec(name)
    assert (spec.dim, spec.frame_samples, spec.hop_samples) == (dim, frame_samples, hop_samples)


@pytest.mark.parametrize(
    ("name", "window_samples", "window_hop_samples"),
    [
        ("mfcc40-windows", 32000, 16000),
        ("mfcc40-windows-short", 8000, 4000),
        ("mfcc40-windows-22k", 44100, 22050),
    ],
)
def test_windows_are_as_long_as_their_seconds_say(name, window_samples, window_hop_samples):
    spec = get_spec(name)
    assert (spec.window_samples, spec.window_hop_samples) == (window_samples, window_hop_samples)
    assert spec.num_frames(window_samples + 3 * window_hop_samples - 1) == 3


def test_a_window_can_hold_derivatives():
    options = {"num_mfcc": 13, "num_deltas": 2, "statistics": "mean_std"}
    assert get_spec("mfcc40-windows", **options).dim == 2 * 3 * 13


def test_two_seconds_of_spectrogram_are_197_frames():
    assert get_spec("spectrogram400").num_frames(32000) == 197


@given(name=st.sampled_from(FRAME_SPECS), num_samples=st.integers(0, 5000))
def test_num_frames_counts_whole_frames(name, num_samples):
    spec = get_spec(name)
    assert spec.num_frames(num_samples) == reference.num_frames(spec, num_samples)


_mel_fields = {
    "num_mels": st.integers(2, 64),
    "num_deltas": st.integers(0, 2),
    "trim_db": st.none() | st.floats(1.0, 80.0),
    "window": st.sampled_from(["hann", "hamming"]),
    "mel_scale": st.sampled_from(["slaney", "htk"]),
    "fmin_hz": st.floats(0.0, 300.0),
    "hop_s": st.floats(0.001, 0.1),
}


@given(
    spec=st.builds(LogMelSpec, **_mel_fields)
    | st.builds(MfccSpec, num_mfcc=st.integers(1, 2), **_mel_fields)
    | st.builds(
        MfccWindowsSpec,
        num_mfcc=st.integers(1, 2),
        window_s=st.floats(0.1, 3.0),
        window_hop_s=st.floats(0.1, 3.0),
        statistics=st.sampled_from(["mean", "mean_std", "frames"]),
        **_mel_fields,
    )
    | st.builds(
        ProsodySpec,
        num_mels=st.integers(26, 64),
        normalize_peak=st.booleans(),
        f0_min_hz=st.floats(50.0, 100.0),
        f0_max_hz=st.floats(101.0, 4000.0),
    )
    | st.builds(SpectrogramSpec, num_bins=st.integers(1, 401), scale=st.sampled_from(["db"]))
)
def test_a_spec_survives_json_with_its_hash(spec):
    restored = spec_from_dict(json.loads(json.dumps(spec.to_dict())))
    assert restored == spec
    assert restored.sha256 == spec.sha256


def test_hashes_tell_specs_apart_and_do_not_depend_on_how_numbers_are_written():
    assert len({get_spec(name).sha256 for name in SPECS}) == len(SPECS)
    assert get_spec("logmel40", trim_db=35).sha256 == get_spec("logmel40", trim_db=35.0).sha256
    assert get_spec("logmel40", num_deltas=2) == get_spec("logmel40-deltas")


@pytest.mark.parametrize(
    ("name", "sha256"),
    [
        ("logmel23", "7ff80414f7e7cc15"),
        ("logmel40", "d2139079bc7631dc"),
        ("logmel40-deltas", "06dc965843d83b99"),
        ("mfcc40", "d219c6e0aa7fde70"),
        ("mfcc40-windows", "76addb777c4808f2"),
        ("spectrogram200", "3e568590d6ed6a25"),
        ("spectrogram400", "4090fb80fa6641e7"),
    ],
)
def test_hashes_on_disk_stay_valid(name, sha256):
    assert get_spec(name).sha256.startswith(sha256)


def test_a_spec_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        get_spec("logmel40").num_mels = 80


def test_unknown_spec_suggests_the_nearest():
    with pytest.raises(
        ConfigError, match="unknown feature spec 'logmel4'; did you mean 'logmel40'"
    ):
        get_spec("logmel4")


@pytest.mark.parametrize(
    "make",
    [
        lambda: get_spec("logmel40", num_mel=30),
        lambda: spec_from_dict({**get_spec("logmel40").to_dict(), "num_mel": 30}),
    ],
    ids=["override", "dict"],
)
def test_unknown_field_suggests_the_nearest(make):
    with pytest.raises(
        ConfigError, match=r"unknown field of logmel features 'num_mel'; .*num_mels"
    ):
        make()


def test_the_table_of_kinds_leads_to_the_class_of_each():
    assert {kind: class_of_kind(kind).kind for kind in KINDS} == {kind: kind for kind in KINDS}


def test_unknown_kind_suggests_the_nearest():
    with pytest.raises(
        ConfigError, match="unknown kind of feature 'log-mel'; did you mean 'logmel"
    ):
        spec_from_dict({"kind": "log-mel"})


@pytest.mark.parametrize(
    ("name", "overrides", "sentence"),
    [
        ("logmel40", {"hop_s": 0}, "found hop_s = 0, expected a positive number"),
        ("logmel40", {"hop_s": float("nan")}, "found hop_s = nan, expected a number"),
        ("logmel40", {"hop_s": float("inf")}, "found hop_s = inf, expected a number"),
        ("logmel40", {"trim_db": "35"}, "found trim_db = '35', expected a number"),
        ("logmel40", {"num_mels": 2.5}, "found num_mels = 2.5, expected a whole number"),
        ("logmel40", {"num_mels": True}, "found num_mels = True, expected a whole number"),
        ("logmel40", {"num_deltas": 3}, "found num_deltas = 3, expected one of 0, 1, 2"),
        ("logmel40", {"window": "hanning"}, "'hanning', expected one of hann, hamming"),
        ("logmel40", {"fmax_hz": 9000}, "expected more than fmin_hz and at most 8000"),
        ("logmel40", {"fmin_hz": 8000}, "expected more than fmin_hz and at most 8000"),
        ("logmel40", {"fft_points": 256}, "found fft_points = 256, expected at least 400"),
        ("logmel40", {"frame_length_s": 1e-9}, "expected at least one sample"),
        ("mfcc40", {"num_mels": 20}, "found num_mfcc = 40, expected at most num_mels"),
        ("mfcc40-windows", {"window_s": 0.05}, "window_s = 0.05, expected at least a frame"),
        ("mfcc40-windows", {"window_hop_s": 0}, "found window_hop_s = 0, expected a positive"),
        ("mfcc40-windows", {"statistics": "std"}, "expected one of mean, mean_std, frames"),
        ("mel64-prosody", {"pitch_frame_s": 0.02}, "found pitch_frame_s = 0.02, expected at least"),
        (
            "mel64-prosody",
            {"f0_min_hz": 40},
            "at least two periods per pitch frame, which is 50",
        ),
        ("mel64-prosody", {"f0_max_hz": 60}, "expected more than f0_min_hz and at most 4000"),
        ("mel64-prosody", {"f0_max_hz": 4001}, "expected more than f0_min_hz and at most 4000"),
        ("mel64-prosody", {"low_bands": 64}, "found low_bands = 64, expected fewer than num_mels"),
        ("mel64-prosody", {"normalize_peak": 1}, "normalize_peak = 1, expected true or false"),
        ("spectrogram200", {"num_bins": 402}, "found num_bins = 402, expected at most 401"),
        ("spectrogram200", {"scale": "log"}, "found scale = 'log', expected one of db, magnitude"),
    ],
)
def test_impossible_values_are_refused(name, overrides, sentence):
    with pytest.raises(ConfigError) as caught:
        get_spec(name, **overrides)
    assert sentence in str(caught.value)


def test_the_base_has_no_dimension():
    with pytest.raises(NotImplementedError):
        _ = FrameSpec().dim
