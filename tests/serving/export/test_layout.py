import errno
import os
import resource

import numpy as np
import pytest
import tensorflow as tf

from ser_keras.errors import ConfigError
from serving.export.layout import (
    errors_of_files,
    model_folder,
    new_version,
    version_folders,
    versions,
)
from serving.export.warmup import FILE, write_warmup
from tests.serving import exports


def test_versions_are_numbers_and_the_next_one_is_free(tmp_path):
    for name in ("3", "00000012", ".tmp-4", "notes"):
        (tmp_path / name).mkdir()
    assert versions(tmp_path) == [3, 12]
    with new_version(tmp_path) as (staged, final):
        assert final.name == "13"
        assert not staged.name.isdecimal()
        (staged / "file").write_text("x")
        assert versions(tmp_path) == [3, 12]
    assert (final / "file").read_text() == "x"
    assert sorted(os.listdir(tmp_path)) == [".tmp-4", "00000012", "13", "3", "notes"]


def test_a_failure_publishes_nothing_and_leaves_nothing(tmp_path):
    def half() -> None:
        with new_version(tmp_path) as (staged, _):
            (staged / "file").write_text("x")
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        half()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [0, -1, 3])
def test_a_version_that_is_there_or_is_none_is_refused(tmp_path, number):
    (tmp_path / "3").mkdir()
    with (
        pytest.raises(ConfigError, match=rf"--version {number}: found versions \[3\]"),
        new_version(tmp_path, number),
    ):
        pass


@pytest.fixture
def no_large_files():
    """As long as the test runs, files of this process end at 64 KiB, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_tensorflow_names_the_file_for_which_there_was_no_room(moma, tmp_path, no_large_files):
    with pytest.raises(OSError, match="File too large") as refused:
        exports.publish(moma[0], tmp_path / "moma")
    assert refused.value.errno == errno.EFBIG
    assert refused.value.filename.startswith(str(tmp_path / "moma"))
    assert list((tmp_path / "moma").iterdir()) == []


def test_warm_up_requests_that_do_not_fit_name_their_file(tmp_path, no_large_files):
    inputs = {"serving_default": [{"waveform": np.zeros((1, 2**16), np.float32)}]}
    with pytest.raises(OSError, match="File too large") as refused:
        write_warmup(tmp_path, "moma", inputs)
    assert refused.value.filename == str(tmp_path / "assets.extra" / FILE)


def test_other_errors_of_tensorflow_stay_as_they_are():
    with pytest.raises(tf.errors.InvalidArgumentError), errors_of_files():
        tf.reshape([1], [2])


@pytest.mark.parametrize("number", [2**63, 10**19])
def test_a_version_of_more_than_64_bits_is_refused(tmp_path, number):
    with (
        pytest.raises(ConfigError, match=f"--version {number}: found versions none"),
        new_version(tmp_path, number),
    ):
        pass


@pytest.mark.parametrize("name", ["../../esc", "/esc", "a/b", "..", "", ".hidden"])
def test_a_model_is_published_below_its_base_alone(tmp_path, name):
    with pytest.raises(ConfigError, match="name of the model: found the name"):
        model_folder(tmp_path / "base", name)


def test_of_two_names_of_one_version_the_last_in_the_alphabet_counts(tmp_path):
    for name in ("7", "007", "12", "x"):
        (tmp_path / name).mkdir()
    assert version_folders(tmp_path) == {7: tmp_path / "7", 12: tmp_path / "12"}
