"""The jobs on a Dask cluster of real processes, against the local runner."""

import socket
import subprocess
import sys

import pytest

from pipeline.beam import runners
from pipeline.features.job import build_feature_set
from pipeline.statistics.job import run_statistics
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, SchemaError, SerError
from tests.architecture import ROOT
from tests.dask_cluster import DaskCluster
from tests.pipeline.conftest import SPEC, snapshot, write_corpus

SHARDS = 16


@pytest.fixture
def cluster(tmp_path):
    with DaskCluster(tmp_path / "dask") as running:
        yield running


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A corpus that keeps two workers busy for seconds."""
    return write_corpus(tmp_path_factory.mktemp("long"), copies=100)


class Watched:
    """The progress of a job: calls `act` once in the middle, and notes what is visible until then.

    Args:
        output: folder of the job.
        act: what to do when some recordings are done, but not all.
    """

    def __init__(self, output, act):
        self.output, self.act, self.done, self.visible = output, act, None, set()

    def __call__(self, step, done, total):
        try:
            self.visible.add(FeatureSet.open(self.output).path)
        except SchemaError:
            self.visible.add(None)
        if 0 < done < total and self.done is None:
            self.done = done
            self.act()


def features(corpus, output, cluster=None, progress=None):
    beam_args = cluster.beam_args if cluster else ()
    options = {"num_shards": SHARDS, "beam_args": beam_args, "progress": progress}
    return build_feature_set("manifest", corpus, SPEC, output, **options)


@pytest.mark.slow
def test_the_printed_command_and_the_statistics_are_those_of_the_local_runner(
    cluster, build, corpus, tmp_path
):
    local = build(num_shards=SHARDS)
    options = {"corpus": "manifest", "data-dir": corpus, "spec": "logmel23"}
    options |= {"output": tmp_path / "on-dask", "shards": SHARDS}
    arguments = [f"--{name}={value}" for name, value in options.items()]
    # The short name of the runner.
    beam_args = ["--runner=dask", f"--dask_client_address={cluster.address}"]
    done = subprocess.run(
        [sys.executable, "-m", "ser_keras", "features", *arguments, "--", *beam_args],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert snapshot(FeatureSet.open(tmp_path / "on-dask").path) == snapshot(local)

    def statistics(output, beam_args=()):
        return run_statistics(local, tmp_path / output, beam_args, data_dir=corpus).read_bytes()

    assert statistics("a", cluster.beam_args) == statistics("b")


@pytest.mark.slow
def test_a_lost_worker_costs_nothing_but_time(cluster, long, tmp_path):
    watched = Watched(tmp_path / "features", cluster.kill_worker)
    on_dask = features(long, tmp_path / "features", cluster, watched)
    assert watched.done
    assert cluster.workers[0].poll() is not None
    assert snapshot(on_dask) == snapshot(features(long, tmp_path / "local"))


@pytest.mark.slow
def test_a_lost_scheduler_leaves_nothing_and_the_rerun_is_whole(cluster, long, tmp_path):
    output = tmp_path / "features"
    watched = Watched(output, cluster.kill_scheduler)
    with pytest.raises(SerError, match=r"Beam stopped: .* Nothing was published"):
        features(long, output, cluster, watched)
    assert watched.done
    assert watched.visible == {None}
    assert list(output.iterdir()) == []
    with DaskCluster(tmp_path / "again") as another:
        assert snapshot(features(long, output, another)) == snapshot(
            features(long, tmp_path / "local")
        )


def test_each_shard_is_a_part_of_its_own_unless_parts_are_given():
    assert runners.with_checked_runner(["--runner=dask"])[1:] == ["--dask_partition_size=1"]
    given = ["--runner", "DaskRunner", "--dask_npartitions=4"]
    assert runners.with_checked_runner(given)[1:] == ["--dask_npartitions=4"]


def test_an_address_that_nobody_listens_at_is_refused_at_once(build):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ConfigError, match=f"{address}: found nobody who listens there"):
            build(beam_args=["--runner=DaskRunner", "--dask_client_address", address])


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--dask_client_address=10.0.0.5", "found no host and port"),
        ("--dask_client_address=tcp://10.0.0.5:port", "found no host and port"),
        ("--dask_scheduler_file=missing.json", "found no such file"),
    ],
)
def test_an_address_that_is_none_is_refused(build, option, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build(beam_args=["--runner=DaskRunner", option])


def test_an_unknown_runner_is_refused_with_the_nearest_one(build):
    with pytest.raises(ConfigError, match=r"unknown --runner 'DaskRuner'; .*'DaskRunner'"):
        build(beam_args=["--runner=DaskRuner"])


def test_a_missing_package_is_named(build, monkeypatch):
    monkeypatch.setattr(runners.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'ser-keras\[dask\]'"):
        build(beam_args=["--runner=DaskRunner"])
