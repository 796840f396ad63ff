"""`ser predict --timeline` of ten minutes, as a user runs it: progress, and little memory."""

import contextlib
import json
import os
import pty
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile

from tests.architecture import ROOT
from tests.serving import exports

pytestmark = pytest.mark.slow
# A process is counted with the memory of the one it is forked from, hence a small one between.
MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


def run(command, lines):
    """Runs a command with its errors on a terminal; returns (what it printed there, peak in MB)."""
    terminal, end = pty.openpty()
    printed = []

    def read():
        # An error is how a terminal without anyone behind it ends.
        with contextlib.suppress(OSError):
            while data := os.read(terminal, 4096):
                printed.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    with open(lines, "wb") as file:
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, *command], stdout=file, stderr=end, cwd=ROOT
        )
    os.close(end)
    reader.join()
    os.close(terminal)
    text = b"".join(printed).decode()
    assert done.returncode == 0, text
    return text, int(text.split("peak ")[1]) / 1024


def test_ten_minutes_are_predicted_window_by_window_within_a_gigabyte(server, tmp_path):
    path, lines = tmp_path / "long.wav", tmp_path / "predictions.jsonl"
    clip = exports.clips(1, seed=1, least=39000)[0]
    seconds = 600
    stereo = np.repeat(np.resize(clip, seconds * exports.RATE)[:, None], 2, axis=1)
    soundfile.write(path, stereo, exports.RATE, subtype="FLOAT")
    command = [sys.executable, "-m", "ser_keras", "predict", str(path), "--timeline", "--json"]
    command += ["--model", "moma", "--server", f"localhost:{server.port}"]
    text, peak_mb = run(command, lines)
    predictions = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    assert len(predictions) == 299
    assert predictions[-1]["end_s"] == seconds
    assert "long.wav" in text
    assert "100%" in text
    assert peak_mb < 1000
