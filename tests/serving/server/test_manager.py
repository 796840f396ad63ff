"""Versions come and go while requests run."""

import gc
import shutil
import weakref

import keras
import numpy as np
import pytest

from serving.export.layout import versions
from serving.export.trust.hashes import write_hashes
from serving.server.config_files import ModelEntry
from serving.server.errors import RequestError
from serving.server.manager import AVAILABLE, END, ModelManager
from tests.serving import exports

INPUTS = exports.batch(exports.clips(2))


@pytest.fixture
def base(moma, tmp_path):
    """Folder of a model with version 1, to which a test may add."""
    shutil.copytree(moma[1], tmp_path / "moma")
    return tmp_path / "moma"


def manager_of(base, **options):
    return ModelManager([ModelEntry("moma", base, **options)], retry_s=0.0, load_attempts=2)


def ask(manager, **choice):
    with manager.lend("moma", **choice) as (model, version):
        return version, model.run("serving_default", INPUTS)["probabilities"]


def states(manager):
    return {number: version.state for number, version in manager.states("moma").items()}


@pytest.mark.slow
def test_the_newest_version_takes_over_and_the_old_one_ends(base, moma):
    manager = manager_of(base)
    manager.poll()
    assert ask(manager)[0] == 1
    shutil.copytree(base / "1", base / "0002")
    manager.poll()
    assert ask(manager)[0] == 2
    assert states(manager) == {2: AVAILABLE, 1: END}
    with pytest.raises(RequestError, match=r"Servable not found for request: Specific\(moma, 1\)"):
        ask(manager, version=1)
    shutil.rmtree(base / "0002")
    manager.poll()
    assert ask(manager)[0] == 1
    manager.close()


def test_served_models_are_exempt_from_garbage_collection_and_old_ones_are_freed(base):
    manager = manager_of(base)
    manager.poll()
    # A full collection would stop every answer while it looks at each of these.
    assert gc.get_freeze_count() > 100_000
    with manager.lend("moma") as (model, _):
        graph = weakref.ref(model.session.graph)
    del model
    manager.reload([])
    assert graph() is None
    manager.close()


def test_a_version_half_copied_does_not_serve_until_it_is_whole(base):
    manager = manager_of(base)
    manager.poll()
    (base / "2").mkdir()
    shutil.copy(base / "1" / "saved_model.pb", base / "2")
    manager.poll()
    assert ask(manager)[0] == 1
    assert states(manager) == {2: END, 1: AVAILABLE}
    assert manager.states("moma")[2].error is not None
    shutil.copytree(base / "1", base / "2", dirs_exist_ok=True)
    manager.poll()
    assert ask(manager)[0] == 2
    manager.close()


@pytest.mark.slow
def test_a_version_that_never_loads_is_left_alone_and_disturbs_no_other(base):
    messages = []
    manager = ModelManager(
        [ModelEntry("moma", base)], messages.append, retry_s=0.0, load_attempts=2
    )
    manager.poll()
    (base / "7").mkdir()
    for _ in range(4):
        manager.poll()
    assert ask(manager)[0] == 1
    assert sum("version 7: not served" in text for text in messages) == 2
    manager.close()


@pytest.mark.slow
def test_versions_of_nan_or_of_another_signature_never_serve(base):
    manager = manager_of(base)
    manager.poll()
    served = exports.small("moma")
    for weight in served.model.trainable_weights:
        weight.assign(np.full(weight.shape, np.nan))
    exports.publish(served, base, 2)
    manager.poll()
    assert "not finite" in manager.states("moma")[2].error.message

    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    archive = keras.export.ExportArchive()
    archive.track(other)
    archive.add_endpoint("serve", other.call, [keras.InputSpec(shape=(None, 3), dtype="float32")])
    archive.write_out(str(base / "3"), verbose=False)
    write_hashes(base / "3")
    manager.poll()
    assert "expected length (int32), waveform (float32)" in manager.states("moma")[3].error.message
    assert ask(manager)[0] == 1
    manager.close()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"latest": 1}, [4]),
        ({"latest": 2}, [3, 4]),
        ({"latest": 0}, [1, 3, 4]),
        ({"specific": (1, 3, 9)}, [1, 3]),
    ],
)
def test_policies_choose_among_the_versions_on_disk(tmp_path, options, expected):
    for name in ("1", "3", "4", ".tmp-5"):
        (tmp_path / name).mkdir()
    assert ModelEntry("moma", tmp_path, **options).served_versions() == expected
    assert versions(tmp_path) == [1, 3, 4]


@pytest.mark.slow
def test_labels_name_versions_that_are_available(base):
    manager = manager_of(base, labels={"stable": 1, "next": 5})
    manager.poll()
    assert ask(manager, label="stable")[0] == 1
    for label in ("next", "nobody"):
        with pytest.raises(RequestError, match=f"Unrecognized servable version label: {label}"):
            ask(manager, label=label)
    manager.close()


@pytest.mark.slow
def test_other_models_can_be_asked_for_while_serving(base, tmp_path):
    manager = manager_of(base)
    manager.poll()
    shutil.copytree(base, tmp_path / "other")
    with pytest.raises(RequestError, match="Could not find base path"):
        manager.reload([ModelEntry("moma", tmp_path / "nowhere")])
    assert ask(manager)[0] == 1
    manager.reload([ModelEntry("other", tmp_path / "other")])
    with manager.lend("other") as (_, version):
        assert version == 1
    with pytest.raises(RequestError, match=r"Latest\(moma\)"):
        ask(manager)
    manager.close()
