"""The jobs on Prism, Beam's portable runner, against the local one; `make prism-test` runs this."""

import os

import pytest

from pipeline.statistics.job import run_statistics
from tests.pipeline.conftest import snapshot

pytestmark = pytest.mark.prism
SHARDS = 16


@pytest.fixture(scope="module")
def beam_args():
    """What to give to Beam, as a user would."""
    program = os.environ.get("SER_KERAS_PRISM")
    assert program, "SER_KERAS_PRISM is not set; run make prism-test, which builds the program"
    return ["--runner=PrismRunner", f"--prism_location={program}", "--environment_type=LOOPBACK"]


def test_prism_makes_the_same_features_as_the_local_runner(beam_args, build, tmp_path):
    local = build(num_shards=SHARDS)
    on_prism = build(num_shards=SHARDS, output=tmp_path / "prism", beam_args=beam_args)
    assert snapshot(on_prism) == snapshot(local)


def test_prism_counts_the_unusable_recordings_too(beam_args, build, zoo, tmp_path):
    root, _ = zoo
    local = build(root, max_bad_ratio=0.9)
    options = {"max_bad_ratio": 0.9, "beam_args": beam_args}
    assert snapshot(build(root, output=tmp_path / "prism", **options)) == snapshot(local)


def test_prism_makes_the_same_statistics_as_the_local_runner(beam_args, build, corpus, tmp_path):
    features = build(num_shards=SHARDS)

    def statistics(output, beam_args=()):
        return run_statistics(features, tmp_path / output, beam_args, data_dir=corpus).read_bytes()

    assert statistics("prism", beam_args) == statistics("local")
