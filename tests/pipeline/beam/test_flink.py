"""The jobs on a real Flink cluster, against the local runner; `make flink-test` runs this."""

import base64
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from apache_beam.coders import VarIntCoder

from pipeline.features.job import build_feature_set
from pipeline.statistics.job import run_statistics
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import SchemaError, SerError
from tests.flink_cluster import FlinkCluster
from tests.flink_jars import get_flink_jars
from tests.pipeline.conftest import SPEC, snapshot, write_corpus

pytestmark = pytest.mark.flink
ROOT = Path(__file__).parents[3]
SHARDS = 16


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with FlinkCluster(get_flink_jars(), tmp_path_factory.mktemp("flink")) as running:
        yield running


@pytest.fixture(autouse=True)
def where_the_logs_are(cluster):
    """Shown with every failure."""
    sys.stdout.write(f"{cluster.jars.about}; logs are in {cluster.folder}\n")


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A corpus that keeps two workers busy for seconds."""
    return write_corpus(tmp_path_factory.mktemp("long"), copies=150)


def last_job(cluster):
    """The newest job, as Flink's REST interface describes it."""
    return max(cluster.rest("/jobs/overview")["jobs"], key=lambda job: job["start-time"])


def counted_by(cluster, job):
    """Sums of Beam's counters over all steps, as Flink has them."""
    kept = cluster.rest(f"/jobs/{job['jid']}/accumulators")["user-task-accumulators"]
    (text,) = (item["value"] for item in kept if item["name"] == "__metricscontainers")
    counters = Counter()
    for info in json.loads(text)["metrics"]["committed"]:
        payload = base64.b64decode(info["payload"])
        counters[info["labels"]["NAME"]] += VarIntCoder().decode(payload)
    return counters


def test_the_printed_command_makes_the_same_files_as_the_local_runner(
    cluster, build, corpus, tmp_path
):
    local = build(num_shards=SHARDS)
    options = {"corpus": "manifest", "data-dir": corpus, "spec": "logmel23"}
    options |= {"output": tmp_path / "flink", "shards": SHARDS}
    arguments = [f"--{name}={value}" for name, value in options.items()]
    done = subprocess.run(
        [sys.executable, "-m", "ser_keras", "features", *arguments, "--", *cluster.beam_args],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    flink = FeatureSet.open(tmp_path / "flink")
    assert snapshot(flink.path) == snapshot(local)
    assert last_job(cluster)["state"] == "FINISHED"


def test_flink_counts_what_the_local_runner_counts(cluster, build, zoo, tmp_path):
    root, _ = zoo
    local = FeatureSet.open(build(root, max_bad_ratio=0.9))
    options = {"max_bad_ratio": 0.9, "beam_args": cluster.beam_args}
    flink = FeatureSet.open(build(root, output=tmp_path / "flink", **options))
    assert flink.dead_letters == local.dead_letters
    assert snapshot(flink.path) == snapshot(local.path)
    expected = {k: n for k, n in local.manifest["counters"].items() if k != "seconds_audio"}
    assert counted_by(cluster, last_job(cluster)) == expected


def test_flink_makes_the_same_statistics_as_the_local_runner(cluster, build, corpus, tmp_path):
    features = build(num_shards=SHARDS)

    def run(output, beam_args=()):
        return run_statistics(features, tmp_path / output, beam_args, data_dir=corpus).read_bytes()

    assert run("flink", cluster.beam_args) == run("local")
    assert last_job(cluster)["state"] == "FINISHED"


def test_a_lost_task_manager_leaves_nothing_and_the_rerun_is_whole(cluster, long, tmp_path):
    output, seen, killed = tmp_path / "features", [], []

    def run(progress=None):
        options = {"num_shards": SHARDS, "beam_args": cluster.beam_args, "progress": progress}
        return build_feature_set("manifest", long, SPEC, output, **options)

    def kill_in_the_middle(step, done, total):
        try:
            seen.append(FeatureSet.open(output).path)
        except SchemaError:
            seen.append(None)
        if 0 < done < total and not killed:
            killed.append(done)
            cluster.kill_task_manager()

    with pytest.raises(SerError, match=r"Beam stopped: .*TaskManager.* Nothing was published"):
        run(kill_in_the_middle)
    assert killed
    assert set(seen) == {None}
    assert last_job(cluster)["state"] == "FAILED"
    assert list(output.iterdir()) == []
    cluster.start_task_manager()
    local = build_feature_set("manifest", long, SPEC, tmp_path / "local", num_shards=SHARDS)
    assert snapshot(run()) == snapshot(local)
    assert last_job(cluster)["state"] == "FINISHED"


def test_the_error_of_a_worker_is_reported(cluster, build, tmp_path):
    def remove_the_staging_folder(step, done, total):
        for folder in (tmp_path / "features").glob(".attempt-*"):
            shutil.rmtree(folder)

    with pytest.raises(SerError, match=r"Beam stopped: .*FileNotFoundError: \[Errno 2\] No such"):
        build(beam_args=cluster.beam_args, progress=remove_the_staging_folder)
