"""What is read back of files that a full disk or a stopped copy has damaged."""

import pytest

from ser_keras.errors import SchemaError
from ser_keras.files import read_json, write_json


def test_what_was_written_is_read(tmp_path):
    value = {"folds": [1, 2.5, None, "ä"]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json", "folds", "Run it again.", keys=["folds"]) == value


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b'{"folds": [', "is cut off or damaged"),
        (b"\x00" * 40, "is cut off or damaged"),
        (b'{"folds": "\xff"}', "is cut off or damaged"),
        (b"[" * 100_000, "is cut off or damaged"),
        (b"{}", "lacks folds"),
        (b'["folds"]', "lacks folds"),
        (b"null", "lacks folds"),
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, content, problem):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(SchemaError) as refused:
        read_json(path, "the folds", "Remove it.", keys=["folds"])
    assert str(refused.value).startswith(f"{path}: {problem}")
    assert str(refused.value).endswith("expected the folds. Remove it.")


def test_a_missing_file_and_a_folder_in_its_place_are_named_too(tmp_path):
    with pytest.raises(SchemaError, match=r"a\.json: cannot be read \(No such file"):
        read_json(tmp_path / "a.json", "the folds", "Remove it.")
    with pytest.raises(SchemaError, match=r"cannot be read \(Is a directory"):
        read_json(tmp_path, "the folds", "Remove it.")
