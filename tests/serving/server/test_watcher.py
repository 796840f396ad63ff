"""Folders as copies, network disks and mistakes leave them: the watcher outlives all of them."""

import os
import shutil
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.export.warmup import FILE
from serving.server.config_files import ModelEntry
from serving.server.loading.retries import fingerprint
from serving.server.manager import AVAILABLE, END, ModelManager
from serving.server.server import Server, ServerOptions
from tests.serving.double import INPUTS, write_double


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a version that can be served."""
    return write_double(tmp_path_factory.mktemp("whole") / "1")


@pytest.fixture
def base(whole, tmp_path):
    """Folder of a model with version 1."""
    shutil.copytree(whole, tmp_path / "double" / "1")
    return tmp_path / "double"


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(folder):
    (folder / "saved_model.pb").write_bytes(b"")


def cut_graph(folder):
    cut(folder / "saved_model.pb")


def cut_weights(folder):
    cut(next(folder.glob("variables/*.data*")))


def cut_warm_up(folder):
    cut(folder / "assets.extra" / FILE)


def without_weights(folder):
    shutil.rmtree(folder / "variables")


def with_another_tag(folder):
    path = folder / "saved_model.pb"
    path.write_bytes(
        path.read_bytes().replace(b"serve\x12", b"trial\x12").replace(b"serve", b"trial")
    )


def without_anything(folder):
    shutil.rmtree(folder)
    folder.mkdir()


def a_file(folder):
    shutil.rmtree(folder)
    folder.touch()


def a_link_to_nothing(folder):
    shutil.rmtree(folder)
    folder.symlink_to("nowhere")


DAMAGES = [
    *(emptied, cut_graph, cut_weights, cut_warm_up, without_weights, with_another_tag),
    *(without_anything, a_file, a_link_to_nothing),
]


def damaged_version(base, number, whole, damage):
    shutil.copytree(whole, base / str(number))
    damage(base / str(number))


def made_whole(folder, whole):
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
    else:
        folder.unlink()
    shutil.copytree(whole, folder)


def doubled(manager):
    with manager.lend("double") as (model, version):
        return version, model.run("serving_default", INPUTS)["y"].tolist()


def states(manager):
    return {number: version.state for number, version in manager.states("double").items()}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_cannot_be_loaded_is_its_own_error_and_is_tried_again(base, whole, damage):
    manager = ModelManager([ModelEntry("double", base)], retry_s=0.0, load_attempts=1)
    manager.poll()
    damaged_version(base, 2, whole, damage)
    for _ in range(3):
        manager.poll()
    assert states(manager) == {2: END, 1: AVAILABLE}
    assert str(base / "2") in manager.states("double")[2].error.message
    assert doubled(manager) == (1, [3.0])
    made_whole(base / "2", whole)
    # Seen changed, then seen at rest.
    manager.poll()
    manager.poll()
    assert doubled(manager) == (2, [3.0])
    assert manager.states("double")[2].error is None
    manager.close()


@pytest.mark.parametrize("damage", DAMAGES)
def test_later_versions_are_served_over_one_that_is_damaged(base, whole, damage):
    manager = ModelManager([ModelEntry("double", base)])
    damaged_version(base, 2, whole, damage)
    shutil.copytree(whole, base / "3")
    manager.poll()
    assert doubled(manager) == (3, [3.0])
    manager.close()


def test_a_version_that_stays_damaged_is_tried_as_often_as_asked_and_costs_no_log_after(
    base, whole
):
    lines = []
    manager = ModelManager([ModelEntry("double", base)], lines.append, load_attempts=2, retry_s=0.0)
    damaged_version(base, 2, whole, emptied)
    for _ in range(5):
        manager.poll()
    tries = [line for line in lines if line.startswith("double version 2: not served: ")]
    assert len(tries) == 2
    assert tries[0].endswith("(tried again in 0 s)")
    assert tries[1].endswith("(tried again when its files change)")
    manager.close()


def test_a_copy_that_goes_on_is_not_tried_at_each_look(base, whole):
    manager = ModelManager([ModelEntry("double", base)], load_attempts=1)
    damaged_version(base, 2, whole, emptied)
    manager.poll()
    tried = []
    manager.log = tried.append
    for size in range(1, 4):
        (base / "2" / "saved_model.pb").write_bytes(b"\x08" * size)
        manager.poll()
    assert tried == []
    manager.poll()
    assert len(tried) == 1
    manager.close()


def missing(base):
    base.rename(base.with_name("away"))


def in_a_loop(base):
    missing(base)
    base.symlink_to(base)


def hidden_by_a_file(base):
    missing(base)
    base.touch()


@pytest.mark.parametrize("lose", [missing, in_a_loop, hidden_by_a_file])
def test_a_base_folder_that_cannot_be_read_takes_nothing_from_memory(base, whole, lose):
    lines = []
    manager = ModelManager([ModelEntry("double", base)], lines.append)
    manager.poll()
    lose(base)
    for _ in range(3):
        manager.poll()
    assert doubled(manager) == (1, [3.0])
    assert sum("what is in memory goes on serving" in line for line in lines) == 1
    if lose is not missing:
        base.unlink()
    base.with_name("away").rename(base)
    shutil.copytree(whole, base / "2")
    manager.poll()
    assert doubled(manager) == (2, [3.0])
    assert lines[2] == f"double: {base} can be read again"
    manager.close()


def test_a_fingerprint_changes_with_size_rights_and_names_and_with_nothing_else(whole, tmp_path):
    folder = tmp_path / "1"
    shutil.copytree(whole, folder)
    seen = [fingerprint(folder), fingerprint(folder)]
    assert seen[0] == seen[1]
    time.sleep(0.01)
    (folder / "saved_model.pb").chmod(0o600)
    seen.append(fingerprint(folder))
    with (folder / "saved_model.pb").open("ab") as file:
        file.write(b"x")
    seen.append(fingerprint(folder))
    os.rename(folder / "variables", folder / "weights")
    seen.append(fingerprint(folder))
    assert len(set(seen)) == 4


def health(server):
    with grpc.insecure_channel(f"localhost:{server.port}") as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


@pytest.mark.parametrize("damage", [emptied, with_another_tag, without_anything])
def test_a_server_over_a_damaged_folder_starts_and_is_ready_once_a_model_answers(
    tmp_path, whole, damage
):
    base, lines = tmp_path / "double", []
    base.mkdir()
    damaged_version(base, 1, whole, damage)
    options = ServerOptions(port=0, rest_port=None, poll_s=0.05)
    server = Server([ModelEntry("double", base)], options, lines.append)
    server.start()
    ready = f"gRPC 127.0.0.1:{server.port}"
    assert lines[0].startswith("double version 1: not served: ")
    assert lines[1:] == ["double: no version can answer; waiting for one"]
    assert health(server) == "NOT_SERVING"
    made_whole(base / "1", whole)
    wait_for(lambda: ready in lines)
    wait_for(lambda: health(server) == "SERVING")
    server.stop()


@pytest.mark.parametrize(
    ("folder", "meant"), [("models/double/1", "models/double"), ("models", "models/double")]
)
def test_a_folder_one_level_off_is_not_waited_at(ser, whole, tmp_path, monkeypatch, folder, meant):
    shutil.copytree(whole, tmp_path / "models" / "double" / "1")
    monkeypatch.chdir(tmp_path)
    code, _, err = ser("serve", "--model_name", "double", "--model_base_path", folder)
    assert code == 2
    assert f"found no folder of a version (1, 2, ...) in {folder}; did you mean {meant}?" in err


def test_the_watcher_outlives_what_nobody_foresaw(base, whole):
    lines = []
    options = ServerOptions(port=0, rest_port=None, poll_s=0.05)
    server = Server([ModelEntry("double", base)], options, lines.append)
    server.start()
    poll, failures = server.manager.poll, iter(range(3))

    def failing():
        if next(failures, None) is not None:
            raise KeyError("nobody foresaw this")
        poll()

    server.manager.poll = failing
    shutil.copytree(whole, base / "2")
    wait_for(lambda: 2 in states(server.manager) and states(server.manager)[2] == AVAILABLE)
    assert (
        lines.count("reading the disk failed, and is tried again: KeyError: 'nobody foresaw this'")
        == 1
    )
    server.stop()
