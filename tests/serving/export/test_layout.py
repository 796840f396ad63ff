import os

import pytest

from ser_keras.errors import ConfigError
from serving.export.layout import new_version, versions


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
