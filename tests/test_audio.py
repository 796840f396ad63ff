import hashlib
import os
import stat
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from ser_keras.audio import (
    SAMPLE_RATE_HZ,
    AudioLimits,
    content_hash,
    read_audio,
    read_bytes,
    reading,
    sndfile,
    write_wav,
)
from ser_keras.errors import AudioError
from tests.bad_audio import (
    FLOAT,
    bad_files,
    encoded,
    good_files,
    make_zoo,
    mutations,
    six_hours,
    voice,
    wav,
)

GOOD, BAD = good_files(), bad_files()
KINDS = {
    "missing",
    "empty",
    "not_audio",
    "truncated",
    "too_long",
    "too_short",
    "rate",
    "channels",
    "range",
    "not_finite",
    "silent",
    "opposed",
    "unreadable",
}


def refusal(source, **options) -> AudioError:
    with pytest.raises(AudioError) as caught:
        read_audio(source, **options)
    return caught.value


@pytest.mark.parametrize("name", GOOD)
def test_accepted_forms_become_mono_16_khz(name):
    waveform = read_audio(GOOD[name])
    assert waveform.dtype == np.float32
    assert waveform.shape == (8000,)
    assert waveform.flags.c_contiguous
    assert np.isfinite(waveform).all()
    tone = np.abs(np.fft.rfft(waveform)).argmax() * SAMPLE_RATE_HZ / len(waveform)
    assert tone == pytest.approx(200, abs=2)


@pytest.mark.parametrize("name", BAD)
def test_bad_recordings_are_refused_by_kind(name):
    data, kind = BAD[name]
    error = refusal(data, name=f"corpus/{name}")
    assert error.kind == kind
    assert error.kind in KINDS
    message = str(error)
    assert message.startswith(f"corpus/{name}: ")
    assert "expected" in message
    assert message.endswith(".")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty.wav", "found an empty file (0 bytes), expected WAV, FLAC, Ogg or MP3"),
        ("text.wav", "found content that starts with b'dear dia', expected WAV, FLAC, Ogg or"),
        ("page.wav", "found a web page or XML content"),
        ("page.wav", "expected WAV, FLAC, Ogg or MP3 (the name's ending does not count)"),
        ("body-cut.wav", "found 7978 bytes of samples, expected the 16000 its header promises"),
        ("head-only.wav", "found 40 bytes of WAV without a data chunk"),
        ("promises-more.flac", "expected the 16000 its header promises"),
        ("promises-six-hours.flac", "found 21600.0 s, expected at most 600 s"),
        ("promises-six-hours.flac", "Cut the recording into utterances (in Python, the argument"),
        ("zero.wav", "found 8000 samples that are all zero, expected speech"),
        ("nan.wav", "found NaN, expected finite samples"),
        ("huge.wav", "e+29, expected about -1 to 1. Export the recording again as 16-bit WAV."),
        ("opposed.wav", "found two channels that cancel each other (opposite polarity), expected"),
        ("one-sample.wav", "found 1 sample (0.0001 s), expected at least 0.05 s"),
        ("nine-channels.wav", "found 9 channels, expected 1 to 8"),
        ("rate0.wav", "found a sampling rate of 0 Hz, expected 4000 to 192000 Hz"),
        ("rate1e6.wav", "found a sampling rate of 1000000 Hz, expected 4000 to 192000 Hz"),
    ],
)
def test_each_refusal_says_what_was_found(name, message):
    assert message in str(refusal(BAD[name][0]))


@pytest.mark.parametrize("head", [b"fLaC", b"OggS"])
def test_a_header_that_nobody_understands_is_quoted_with_a_cure(head):
    message = str(refusal(head + bytes(3000)))
    assert "its header could not be understood (" in message
    assert message.endswith("copy it again, or convert it to 16-bit WAV.")


def test_the_zoo_holds_on_disk(tmp_path):
    zoo = make_zoo(tmp_path / "zoo")
    outcomes = {}
    for path, _ in zoo:
        try:
            read_audio(path)
            outcomes[path.name] = "ok"
        except AudioError as error:
            outcomes[path.name] = error.kind if str(path) in str(error) else "nameless"
    assert outcomes == {path.name: expected for path, expected in zoo}
    assert set(outcomes.values()) == KINDS | {"ok"}


def test_the_zoo_is_the_same_for_the_same_seed(tmp_path):
    names = [[path.name for path, _ in make_zoo(tmp_path / name, seed=7)] for name in "ab"]
    assert names[0] == names[1]


def test_a_missing_file_and_a_dangling_link_say_so(tmp_path):
    assert "found no file, expected a file of WAV, FLAC, Ogg or MP3" in str(
        refusal(tmp_path / "none.wav")
    )
    (tmp_path / "link.wav").symlink_to("gone.wav")
    assert "found a link to gone.wav (not there)" in str(refusal(tmp_path / "link.wav"))


@pytest.mark.parametrize(
    ("make", "content"),
    [(Path.mkdir, "a folder"), (os.mkfifo, "a named pipe")],
    ids=["folder", "pipe"],
)
def test_what_is_no_file_is_not_opened(tmp_path, make, content):
    make(tmp_path / "x.wav")
    error = refusal(tmp_path / "x.wav")
    assert (error.kind, f"found {content}, expected" in str(error)) == ("unreadable", True)


def test_a_device_is_not_opened():
    assert "found a device" in str(refusal("/dev/zero"))


@pytest.fixture
def nobody():
    """Takes the rights of root away, whom permissions do not bind."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield
    if root:
        os.seteuid(0)


@pytest.fixture
def secret():
    """A recording that nobody may read, in a folder that everybody may enter."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder) / "secret.wav"
        path.write_bytes(wav())
        path.chmod(0)
        yield path


def test_no_permission(secret, nobody):
    error = refusal(secret)
    assert (error.kind, "Permission denied" in str(error)) == ("unreadable", True)


def test_names_that_cannot_be_opened_are_refused():
    assert refusal("a\0b.wav").kind == "unreadable"
    assert refusal("x" * 5000).kind == "unreadable"


def test_a_name_that_is_not_unicode_can_be_read_and_printed(tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/angry-\xe9.wav")
    Path(name).write_bytes(wav())
    assert len(read_audio(name)) == 8000
    Path(name).write_bytes(b"")
    assert "angry-\\udce9.wav" in str(refusal(name)).encode("utf-8").decode()


def test_six_hours_are_refused_before_they_are_read(tmp_path):
    six_hours(tmp_path / "long.wav")
    assert (tmp_path / "long.wav").stat().st_size > 340_000_000
    tracemalloc.start()
    try:
        error = refusal(tmp_path / "long.wav")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error.kind == "too_long"
    assert "found 21600.0 s, expected at most 600 s" in str(error)
    assert peak < 1_000_000


@pytest.mark.slow
def test_six_hours_of_flac_are_refused_before_they_are_decoded(tmp_path):
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 16000, 1, format="FLAC") as sound:
        for _ in range(360):
            sound.write(np.zeros(60 * 16000, np.int16))
    assert path.stat().st_size < 2_000_000
    tracemalloc.start()
    try:
        assert refusal(path).kind == "too_long"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000


def test_a_header_that_promises_the_limit_costs_no_memory():
    data = BAD["promises-more.flac"][0]
    tracemalloc.start()
    try:
        error = refusal(data, limits=AudioLimits(max_duration_s=1e9))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error.kind == "truncated"
    assert peak < 4_000_000


def test_too_little_memory_is_an_audio_error():
    """Decodes 300 s, which take 106 MB, in a process that may only take 20 MB more."""
    program = (
        "import resource, sys\n"
        "from ser_keras.audio import read_audio\n"
        "from ser_keras.errors import AudioError\n"
        "from tests.bad_audio import voice, wav\n"
        "data = wav(voice(300, 44100), rate=44100)\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 20_000_000,) * 2)\n"
        "try:\n    read_audio(data)\nexcept AudioError as error:\n    sys.exit(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "decoding asked for more memory than there is" in done.stderr


@pytest.mark.parametrize("kind", ["wav", "wav-float", "flac"])
def test_garbage_leads_to_audio_or_to_an_audio_error(kind):
    data = {
        "wav": wav(voice(0.1)),
        "wav-float": wav(voice(0.1), bits=32, code=FLOAT),
        "flac": encoded("FLAC", voice(0.1)),
    }[kind]
    outcomes = set()
    for damaged in mutations(data, 300, seed=1):
        try:
            waveform = read_audio(damaged)
            assert np.isfinite(waveform).all()
            assert waveform.any()
            outcomes.add("ok")
        except AudioError as error:
            outcomes.add(error.kind)
    assert outcomes <= KINDS | {"ok"}
    assert len(outcomes) > 4


@given(data=st.binary(max_size=200), magic=st.sampled_from([b"", b"fLaC", b"RIFF1234WAVE"]))
def test_arbitrary_bytes_lead_to_an_audio_error(data, magic):
    assert refusal(magic + data).kind in KINDS


def test_limits_are_the_callers(tmp_path):
    data = wav(voice(1.0))
    assert refusal(data, limits=AudioLimits(max_duration_s=0.9)).kind == "too_long"
    assert refusal(data, limits=AudioLimits(min_duration_s=1.1)).kind == "too_short"
    assert refusal(wav(voice(channels=2)), limits=AudioLimits(max_channels=1)).kind == "channels"
    assert refusal(data, limits=AudioLimits(min_rate_hz=22050)).kind == "rate"
    assert len(read_audio(data, limits=AudioLimits(max_duration_s=1.0))) == 16000


def test_stereo_is_the_mean_of_its_channels():
    left, right = voice(seed=1), voice(seed=2)
    both = read_audio(wav(np.hstack([left, right]), bits=32, code=FLOAT))
    np.testing.assert_allclose(both, ((left + right) / 2)[:, 0], atol=1e-6)


def test_long_recordings_are_decoded_whole(monkeypatch):
    samples = voice(0.5, channels=2)
    whole = read_audio(wav(samples))
    monkeypatch.setattr(sndfile, "BLOCK_FRAMES", 999)
    np.testing.assert_array_equal(read_audio(wav(samples)), whole)
    np.testing.assert_array_equal(read_audio(encoded("FLAC", samples)), whole)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampling_keeps_a_tone_in_place_and_removes_what_does_not_fit(rate):
    time_s = np.arange(rate) / rate
    tone = 0.5 * np.sin(2 * np.pi * 1000 * time_s)
    above = 0.5 * np.sin(2 * np.pi * 10000 * time_s) * (rate > 20000)
    waveform = read_audio(wav((tone + above)[:, None], rate=rate, bits=32, code=FLOAT))
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    np.testing.assert_allclose(waveform[1000:-1000], expected[1000:-1000], atol=2e-4)


def test_bytes_and_path_give_the_same(tmp_path):
    path = tmp_path / "x.wav"
    path.write_bytes(wav())
    np.testing.assert_array_equal(read_audio(path), read_audio(read_bytes(path)))
    np.testing.assert_array_equal(read_audio(str(path)), read_audio(path))


def test_a_large_but_short_file_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_INSPECT_FIRST_BYTES", 1000)
    (tmp_path / "x.wav").write_bytes(wav())
    assert read_bytes(tmp_path / "x.wav") == wav()
    (tmp_path / "x.wav").write_bytes(b"GIF89a" * 1000)
    assert refusal(tmp_path / "x.wav").kind == "not_audio"


@given(samples=npst.arrays(np.int16, st.integers(800, 900), elements=st.integers(-32768, 32767)))
def test_write_then_read_is_exact(samples, tmp_path_factory):
    samples[0] = 1
    path = tmp_path_factory.mktemp("write") / "x.wav"
    waveform = samples.astype(np.float32) / 32768
    write_wav(path, waveform)
    np.testing.assert_array_equal(read_audio(path), waveform)


def test_write_clips_and_takes_other_rates_and_channels(tmp_path):
    write_wav(tmp_path / "x.wav", np.tile([2.0, -2.0], 4000), 8000)
    samples, rate = soundfile.read(tmp_path / "x.wav", dtype="int16")
    assert (rate, samples.max(), samples.min()) == (8000, 32767, -32768)
    write_wav(tmp_path / "x.wav", voice(channels=2))
    assert soundfile.info(tmp_path / "x.wav").channels == 2


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    write_wav(tmp_path / "x.wav", voice())
    before = (tmp_path / "x.wav").read_bytes()
    with pytest.raises(soundfile.LibsndfileError):
        write_wav(tmp_path / "x.wav", voice(), sample_rate_hz=-1)
    assert (tmp_path / "x.wav").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.wav"]


def test_written_files_have_ordinary_permissions(tmp_path):
    write_wav(tmp_path / "x.wav", voice())
    (tmp_path / "plain").touch()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_the_content_hash_ignores_the_container():
    whole = np.round(voice() * 2**15)
    samples = whole / 2**15
    flac = encoded("FLAC", whole.astype(np.int16))
    copies = (wav(samples), wav(samples, bits=24), wav(samples, bits=32, code=FLOAT), flac)
    assert len({content_hash(read_audio(data)) for data in copies}) == 1


def test_the_content_hash_is_that_of_the_16_bit_samples():
    expected = hashlib.sha256(np.array([0, 16384, -32768, 32767], "<i2").tobytes()).hexdigest()
    assert content_hash(np.array([0.0, 0.5, -1.0, 1.0], np.float32)) == expected


def test_the_content_hash_sees_one_sample():
    waveform = read_audio(wav())
    changed = waveform.copy()
    changed[-1] += 1 / 32768
    assert content_hash(waveform) != content_hash(changed)


@pytest.mark.realdata
@pytest.mark.slow
def test_every_real_recording_is_read(real_data):
    # In a process of its own, whose memory is that of the reading alone.
    program = """
import sys
from pathlib import Path
from ser_keras.audio import SAMPLE_RATE_HZ, read_audio
from tests.memory import peak_bytes

folder = Path(sys.argv[1])
paths = [
    *(folder / "ravdess").rglob("*.flac"),
    *(folder / "emodb" / "wav").glob("*.wav"),
    *(folder / "emodb-2s" / "wav").glob("*.flac"),
]
seconds = [len(read_audio(path)) / SAMPLE_RATE_HZ for path in paths]
print(len(paths), min(seconds), max(seconds), peak_bytes())
"""
    completed = subprocess.run(
        [sys.executable, "-c", program, str(real_data)], capture_output=True, text=True, check=True
    )
    count, shortest, longest, memory = map(float, completed.stdout.split())
    assert count == 1440 + 339 + 535
    assert shortest > 0.5
    assert longest < 15
    assert memory < 2**28
