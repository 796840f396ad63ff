import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from ser_keras.errors import ConfigError
from ser_keras.training.distribute import ALONE, check_strategy, cluster
from tests.training import mirrored_steps

ROOT = Path(__file__).parents[2]
STARTED: list[subprocess.Popen] = []
PAIR = {"worker": ["a:1", "b:1"]}


def tf_config(members, index, kind="worker"):
    return json.dumps({"cluster": members, "task": {"type": kind, "index": index}})


def free_ports(count):
    """Returns ports of the loopback that were free a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [connection.getsockname()[1] for connection in sockets]
    for connection in sockets:
        connection.close()
    return ports


def start(arguments, log, index=None, ports=()):
    """Starts one process with its output in a file; with an index as one worker of several."""
    environment = dict(os.environ) | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    if index is not None:
        members = {"worker": [f"127.0.0.1:{port}" for port in ports]}
        environment["TF_CONFIG"] = tf_config(members, index)
    with open(log, "w") as file:
        STARTED.append(
            subprocess.Popen(
                list(map(str, [sys.executable, *arguments])),
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=ROOT,
                start_new_session=True,
            )
        )
    return STARTED[-1]


def wait_for_success(process, log):
    assert process.wait(timeout=300) == 0, log.read_text()


@pytest.fixture(scope="module", autouse=True)
def leftovers():
    """Ends what a failed test leaves behind."""
    yield
    for process in STARTED:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A file with a recipe that has all that could differ between one worker and several."""
    from tests.small_trainings import tiny_config

    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    optimizer = {"learning_rate": 1e-2, "name": "sgd", "ema": 0.9, "schedule": "plateau"}
    config = tiny_config(batch={"size": 9}, optimizer=optimizer, epochs=4)
    path.write_text(yaml.safe_dump(config.to_dict()))
    return path


@pytest.fixture(scope="module")
def train_together(features, recipe, tmp_path_factory):
    """Returns a function that trains one fold with some workers; gives (run, weights of each)."""

    def train(strategy, workers=1, devices=1):
        folder = tmp_path_factory.mktemp(strategy)
        ports = free_ports(workers)
        processes = []
        for index in range(workers):
            files = [folder / "run", folder / f"weights-{index}.npz"]
            line = ["-m", "tests.training.train_together", strategy, devices, features, recipe]
            log = folder / f"{index}.log"
            worker = index if workers > 1 else None
            processes.append((start([*line, *files], log, worker, ports), log))
        for process, log in processes:
            wait_for_success(process, log)
        weights = []
        for index in range(workers):
            with np.load(folder / f"weights-{index}.npz") as stored:
                weights.append([stored[name] for name in stored.files])
        return json.loads((folder / "run" / "fold.json").read_text()), weights

    return train


@pytest.fixture(scope="module")
def alone(train_together):
    """(record, weights) of the training that one process does."""
    record, (weights,) = train_together("none")
    return record, weights


@pytest.fixture(scope="module")
def pair(train_together):
    """(record, weights of both) of the training that two workers do."""
    return train_together("multiworker", workers=2)


def assert_same_training(training, expected):
    """Compares the histories and weights of two (record, weights), up to rounding."""
    (record, weights), (expected_record, expected_weights) = training, expected
    for logs, expected_logs in zip(record["history"], expected_record["history"], strict=True):
        for name in logs.keys() - {"seconds"}:
            assert logs[name] == pytest.approx(expected_logs[name], rel=1e-4, abs=1e-4), name
    for array, expected_array in zip(weights, expected_weights, strict=True):
        np.testing.assert_allclose(array, expected_array, atol=1e-5)


@pytest.mark.slow
def test_steps_of_every_system_are_the_same_on_two_devices(tmp_path):
    log = tmp_path / "log"
    file = tmp_path / "differences.json"
    wait_for_success(start(["-m", "tests.training.mirrored_steps", file], log), log)
    differences_of = json.loads(file.read_text())
    assert differences_of.keys() == mirrored_steps.SYSTEMS.keys()
    for name, differences in differences_of.items():
        assert differences["moved"] > 1e-2, name
        assert differences["weights"] < 1e-5, name
        assert differences["logs"] < 1e-5, name


@pytest.mark.slow
def test_two_devices_train_the_weights_of_one(train_together, alone):
    record, (weights,) = train_together("mirrored", devices=2)
    assert_same_training((record, weights), alone)


@pytest.mark.slow
def test_two_workers_end_with_equal_weights_which_are_those_of_one(pair, alone):
    record, (first, second) = pair
    for array, second_array in zip(first, second, strict=True):
        np.testing.assert_array_equal(array, second_array)
    assert_same_training((record, first), alone)


@pytest.fixture
def start_pair(features, recipe, protocol, tmp_path):
    """Returns a function that starts `ser train` twice; gives both (process, log)."""
    line = ["-m", "ser_keras", "train", "--features", features, "--protocol", "synthetic-loso"]
    line += ["--fold", protocol.folds[0].name, "--recipe", recipe, "--strategy", "multiworker"]
    line += ["--output", tmp_path / "run"]

    def started(name, *only_second):
        ports, logs = free_ports(2), [tmp_path / f"{name}-{index}.log" for index in range(2)]
        options = [(), only_second]
        return [
            (start([*line, *options[index]], logs[index], index, ports), logs[index])
            for index in range(2)
        ]

    return started


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_worker_ends_the_other_and_a_restart_goes_on(
    start_pair, pair, protocol, tmp_path, lost
):
    both = start_pair("first")
    fold = tmp_path / "run" / "folds" / protocol.folds[0].name
    while not (fold / "checkpoint" / "state.npz").exists():
        assert [process.poll() for process, _ in both] == [None, None], both[0][1].read_text()
        time.sleep(0.05)
    os.killpg(both[lost][0].pid, signal.SIGKILL)
    other, log = both[1 - lost]
    assert other.wait(timeout=60) == 1, log.read_text()
    assert "start all workers again" in log.read_text()
    assert not (fold / "fold.json").exists()
    for process, log in start_pair("second"):
        wait_for_success(process, log)
    record = json.loads((fold / "fold.json").read_text())
    assert record["weights_sha256"] == pair[0]["weights_sha256"]


@pytest.mark.slow
def test_a_worker_with_another_recipe_is_refused(start_pair, tmp_path):
    (chief, _), (other, log) = start_pair("unequal", "--set", "seed=5")
    assert other.wait(timeout=120) == ConfigError.exit_code
    assert "the recipe is" in log.read_text()
    assert chief.wait(timeout=60) == 1
    assert not list(tmp_path.rglob("fold.json"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "TF_CONFIG is not set"),
        ("{", "names no worker"),
        ('{"cluster": {"worker": ["a:1"]}}', "names no worker"),
        (tf_config(PAIR, 2), "names no worker"),
        (tf_config(PAIR, 0, "ps"), "names no worker"),
    ],
)
def test_an_environment_without_a_cluster_is_refused_with_an_example(text, sentence):
    with pytest.raises(ConfigError, match=sentence) as error:
        cluster(text)
    assert '"task": {"type": "worker", "index": 0}' in str(error.value)


def test_the_chief_of_a_cluster_comes_first():
    members = {"chief": ["c:1"], **PAIR}
    assert cluster(tf_config(members, 0, "chief")) == (["c:1", "a:1", "b:1"], 0)
    assert cluster(tf_config(members, 1)) == (["c:1", "a:1", "b:1"], 2)


def test_a_mistyped_strategy_and_what_none_can_train_are_refused(tiny):
    with pytest.raises(ConfigError, match="did you mean 'mirrored'"):
        check_strategy("miror", tiny())
    with pytest.raises(ConfigError, match="jit_compile=false"):
        check_strategy("mirrored", tiny(jit_compile=True))
    with pytest.raises(ConfigError, match="mixed_bfloat16"):
        check_strategy("multiworker", tiny(precision="mixed_float16"))
    check_strategy("none", tiny(jit_compile=True, precision="mixed_float16"))


def test_a_process_alone_is_its_own_chief(tmp_path):
    assert ALONE.chief
    assert ALONE.from_chief(b"epoch 3") == b"epoch 3"
    ALONE.share_files([tmp_path / "absent"])
    assert list(tmp_path.iterdir()) == []
