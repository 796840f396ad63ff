"""Damaged files of every container and coding, 500 each, through the whole feature job."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from ser_keras.data.feature_set import FeatureSet
from tests.bad_audio import FLOAT, encoded, mutations, voice, wav
from tests.pipeline.conftest import write_table

COUNT = 500
LIMIT_S = 5
MOST_BYTES = 1.5e9
SHORT = voice(0.2)
# A WAV may hold any coding that libsndfile knows; the least simple ones are here.
FORMATS = {
    "wav": wav(SHORT),
    "wav-float": wav(SHORT, bits=32, code=FLOAT),
    "wav-stereo24": wav(voice(0.2, channels=2), bits=24),
    "wav-a-law": encoded("WAV", SHORT, coding="ALAW"),
    "wav-ima-adpcm": encoded("WAV", SHORT, coding="IMA_ADPCM"),
    "wav-ms-adpcm": encoded("WAV", SHORT, coding="MS_ADPCM"),
    "wav-gsm": encoded("WAV", SHORT, coding="GSM610"),
    "flac": encoded("FLAC", SHORT),
    "flac-stereo24": encoded("FLAC", voice(0.2, channels=2), coding="PCM_24"),
    "ogg": encoded("OGG", SHORT),
    "mp3": encoded("MP3", SHORT),
}
REFUSALS = {
    *("empty", "not_audio", "truncated", "too_long", "too_short", "rate", "channels"),
    *("not_finite", "range", "silent", "opposed", "unreadable"),
}


def write_damaged(root, data, count, seed):
    """Writes damaged copies and one whole recording; returns the table."""
    root.mkdir()
    rows = [("whole.wav", "sad", "anna")]
    (root / "whole.wav").write_bytes(wav(SHORT))
    for number, damaged in enumerate(mutations(data, count, seed)):
        rows.append((f"{number:03}.wav", "sad", "anna"))
        (root / rows[-1][0]).write_bytes(damaged)
    return write_table(root, rows)


def check_job_lives(tmp_path, name, count):
    """Runs the job; returns the number of dead letters of each kind."""
    table = write_damaged(tmp_path / "corpus", FORMATS[name], count, seed=[count, len(name)])
    command = [sys.executable, "-m", "tests.pipeline.features.fuzzed_job"]
    done = subprocess.run(
        [*command, str(table), str(tmp_path / "features"), str(LIMIT_S)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) < MOST_BYTES
    feature_set = FeatureSet.open(tmp_path / "features")
    feature_set.verify()
    kinds = Counter(letter["kind"] for letter in feature_set.dead_letters)
    assert "manifest/whole" in {row.key for row in feature_set.rows}
    assert len(feature_set.rows) + kinds.total() == count + 1
    assert set(kinds) <= REFUSALS
    return kinds


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_cost_themselves_alone(tmp_path, name):
    # The damage is not all of one kind.
    assert len(check_job_lives(tmp_path, name, COUNT)) > 2


def test_a_few_damaged_files_cost_themselves_alone(tmp_path):
    assert check_job_lives(tmp_path, "flac", 40).total() > 10


def test_a_file_that_takes_too_long_would_be_seen(tmp_path):
    table = write_damaged(tmp_path / "corpus", wav(SHORT), 1, seed=0)
    code = (
        "import sys, time\nfrom pipeline.features import writer\n"
        "from tests.pipeline.features import fuzzed_job\n"
        "writer.process = lambda *_: time.sleep(60)\nfuzzed_job.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(table), str(tmp_path / "features"), "0.2"],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Timeout" in done.stderr
