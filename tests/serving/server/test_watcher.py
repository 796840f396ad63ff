"""Folders as copies, network disks and mistakes leave them: the watcher outlives all of them."""

import os
import shutil
import sys
import threading
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.server.config_files import ModelEntry
from serving.server.loading.retries import fingerprint
from serving.server.loading.watcher import Watcher
from serving.server.manager import AVAILABLE, END, ModelManager
from serving.server.metrics import WATCHER_ALIVE
from serving.server.server import Server, ServerOptions
from tests.architecture import ROOT
from tests.serving.double import INPUTS, write_double
from tests.serving.exports import completed
from tests.serving.server.damages import WARM_UP, WEIGHTS, damages


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a version that can be served."""
    return write_double(tmp_path_factory.mktemp("whole") / "1")


@pytest.fixture
def base(whole, tmp_path):
    """Folder of a model with version 1."""
    shutil.copytree(whole, tmp_path / "double" / "1")
    return tmp_path / "double"


DAMAGES = damages()
QUICK = (
    *("saved_model.pb empty", "saved_model.pb bits_flipped 0", "saved_model.pb a pipe"),
    *(f"{WEIGHTS} cut 0", f"{WARM_UP} cut 0", "variables missing", "another tag"),
    *("empty", "a file", "a link to nothing", "a link to itself", "unreadable"),
)
each_damage = pytest.mark.parametrize(
    "damage",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in DAMAGES],
)


def damaged_version(base, number, whole, damage):
    shutil.copytree(whole, base / str(number))
    DAMAGES[damage](base / str(number))


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


@each_damage
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


@each_damage
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
    damaged_version(base, 2, whole, "saved_model.pb empty")
    for _ in range(5):
        manager.poll()
    tries = [line for line in lines if line.startswith("double version 2: not served: ")]
    assert len(tries) == 2
    assert tries[0].endswith("(tried again in 0 s)")
    assert tries[1].endswith("(tried again when its files change)")
    manager.close()


def test_a_copy_that_goes_on_is_not_tried_at_each_look(base, whole):
    manager = ModelManager([ModelEntry("double", base)], load_attempts=1)
    damaged_version(base, 2, whole, "saved_model.pb empty")
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


def health(server, service=""):
    request = health_pb2.HealthCheckRequest(service=service)
    with grpc.insecure_channel(f"localhost:{server.port}") as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(request)
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


@pytest.mark.parametrize("damage", ["saved_model.pb empty", "another tag", "empty"])
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


def test_health_says_that_the_watcher_hangs_and_models_go_on_answering(base):
    lines = []
    options = ServerOptions(port=0, rest_port=None, poll_s=0.05)
    server = Server([ModelEntry("double", base)], options, lines.append)
    server.start()
    assert health(server, "ModelWatcher") == "SERVING"
    assert f"{WATCHER_ALIVE} 1\n" in server.metrics.text()
    released = threading.Event()
    server.manager.poll = released.wait
    server._watcher.hang_s = 0.1
    wait_for(lambda: health(server, "ModelWatcher") == "NOT_SERVING")
    assert health(server) == "SERVING"
    assert f"{WATCHER_ALIVE} 0\n" in server.metrics.text()
    assert doubled(server.manager) == (1, [3.0])
    wait_for(lambda: any(line.startswith("ERROR: a search for new") for line in lines))
    del server.manager.poll
    released.set()
    wait_for(lambda: health(server, "ModelWatcher") == "SERVING")
    wait_for(lambda: "the search for new versions goes on" in lines)
    assert sum(line.startswith("ERROR") for line in lines) == 1
    server.stop()


class NobodyCatches(BaseException):
    """Ends a thread, whatever that catches of the usual kind."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_watcher_that_has_died_is_not_alive_until_it_is_revived():
    lines, deadly = [], threading.Event()
    looks = []

    def look():
        looks.append(None)
        if deadly.is_set():
            raise NobodyCatches

    watcher = Watcher(look, 0.0, lines.append)
    deadly.set()
    watcher.start()
    wait_for(lambda: not watcher.is_alive)
    deadly.clear()
    count = len(looks)
    watcher.revive()
    wait_for(lambda: len(looks) > count)
    assert watcher.is_alive
    watcher.stop()
    assert lines == ["ERROR: the search for new versions ended, and is started again"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_server_whose_watcher_has_died_serves_new_versions_all_the_same(base, whole):
    lines = []
    options = ServerOptions(port=0, rest_port=None, poll_s=0.05)
    server = Server([ModelEntry("double", base)], options, lines.append)
    server.start()

    def die():
        del server.manager.poll
        raise NobodyCatches

    server.manager.poll = die
    wait_for(lambda: any(line.startswith("ERROR: the search") for line in lines))
    shutil.copytree(whole, base / "2")
    wait_for(lambda: 2 in states(server.manager) and states(server.manager)[2] == AVAILABLE)
    assert doubled(server.manager) == (2, [3.0])
    server.stop()


def test_folders_whose_numbers_have_more_than_64_bits_are_no_versions(base, whole):
    lines = []
    manager = ModelManager([ModelEntry("double", base, latest=0)], lines.append)
    for name in ("9" * 19 + "9", str(2**63), "２"):
        shutil.copytree(whole, base / name)
    manager.poll()
    assert states(manager) == {1: AVAILABLE}
    shutil.copytree(whole, base / str(2**63 - 1))
    manager.poll()
    assert doubled(manager) == (2**63 - 1, [3.0])
    manager.close()


def test_of_two_folders_with_one_number_the_last_in_the_alphabet_is_loaded(base, whole):
    shutil.copytree(whole, base / "02")
    (base / "2").mkdir()
    manager = ModelManager([ModelEntry("double", base)])
    manager.poll()
    assert states(manager)[2] == END
    (base / "2").rmdir()
    manager.poll()
    manager.poll()
    assert doubled(manager) == (2, [3.0])
    manager.close()


@pytest.mark.slow
def test_a_good_version_answers_all_along_while_damaged_ones_come(base, whole):
    server = Server(
        [ModelEntry("double", base)], ServerOptions(port=0, rest_port=None, poll_s=0.05)
    )
    server.start()
    answers, stopping = [], threading.Event()

    def ask():
        while not stopping.is_set():
            answers.append(doubled(server.manager))

    asking = threading.Thread(target=ask)
    asking.start()
    for number, damage in enumerate(DAMAGES, start=2):
        damaged_version(base, number, whole, damage)
        wait_for(lambda number=number: states(server.manager).get(number) == END)
        assert str(base / str(number)) in server.manager.states("double")[number].error.message
    assert set(map(str, answers)) == {"(1, [3.0])"}
    assert health(server) == health(server, "ModelWatcher") == "SERVING"
    shutil.copytree(whole, base / ".copy")
    (base / ".copy").rename(base / "100")
    wait_for(lambda: states(server.manager).get(100) == AVAILABLE)
    stopping.set()
    asking.join()
    assert doubled(server.manager) == (100, [3.0])
    server.stop()


# Runs in a process of its own, which TensorFlow might end.
MEETS_ALL = """
import shutil, sys
from pathlib import Path
from serving.server.config_files import ModelEntry
from serving.server.loading.watcher import Watcher
from serving.server.manager import AVAILABLE, END, ModelManager
from serving.server.metrics import WATCHER_ALIVE
from tests.serving.exports import completed
from tests.serving.server.damages import damages, with_own_hashes

base, whole = map(Path, sys.argv[1:])
manager = ModelManager([ModelEntry("double", base)], load_attempts=1, trust=True)
manager.poll()
for damage in damages().values():
    shutil.copytree(whole, base / "2")
    with_own_hashes(damage)(base / "2")
    manager.poll()
    (version,) = manager.states("double", 2).values()
    print(version.state in (AVAILABLE, END), flush=True)
    with manager.lend("double", 1 if version.state == END else 2):
        pass
    path = base / "2"
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    manager.poll()
manager.close()
"""


@pytest.mark.slow
def test_none_of_the_damages_ends_the_process_where_tensorflow_meets_them(base, whole):
    done = completed(sys.executable, "-c", MEETS_ALL, base, whole, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["True"] * len(DAMAGES)
