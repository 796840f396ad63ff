"""Readers beside a job that writes and rewrites: at any moment one whole set, old or new."""

import subprocess
import sys
from pathlib import Path

import pytest

from ser_keras.data.feature_set import FeatureSet

# Publishes a new set, then the first one again, and so on until its input ends.
WRITER = """
import sys, threading
from pathlib import Path
from pipeline.features.job import build_feature_set
from ser_keras.features.specs import get_spec
from tests import trees
corpus, output, ended = Path(sys.argv[1]), sys.argv[2], threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
victim = corpus / "anna/angry0.wav"
first = victim.read_bytes()
version = 0
while not ended.is_set():
    version += 1
    victim.write_bytes(first)
    if version % 2:
        trees.write_noise(victim, seed=1000 + version, seconds=0.1 + 0.01 * version)
    build_feature_set("manifest", corpus, get_spec("logmel23"), output)
    print(version, flush=True)
"""


def check_opens(corpus, build, opens, least_sets):
    """Opens the newest set again and again while another process publishes."""
    output = build().parent
    seen = {}
    command = [sys.executable, "-c", WRITER, str(corpus), str(output)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=Path(__file__).parents[3], **pipes) as writer:
        try:
            while (opens > 0 or len(seen) < least_sets) and writer.poll() is None:
                feature_set = FeatureSet.open(output)
                feature_set.verify()
                assert len({row.key for row in feature_set.rows}) == 24
                # A name always stands for the same content.
                assert seen.setdefault(feature_set.path.name, feature_set) == feature_set
                opens -= 1
        finally:
            errors = writer.communicate()[1].decode()
    assert writer.returncode == 0, errors
    assert opens <= 0
    assert len(seen) >= least_sets


def test_a_reader_sees_a_whole_set_whenever_it_looks(corpus, build):
    check_opens(corpus, build, opens=100, least_sets=2)


@pytest.mark.slow
def test_a_thousand_opens_beside_a_busy_writer(corpus, build):
    check_opens(corpus, build, opens=1000, least_sets=12)
