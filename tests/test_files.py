"""What is read back of damaged files, and which names may become names of files."""

import pytest

from ser_keras.errors import ConfigError, SchemaError
from ser_keras.files import path_below, plain_name, read_json, write_json


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


NAMES = ["emodb", "emodb 2s", "Ännchen", "-x", "a.b", "moma:2", "x" * 200]
LEADING_OUT = [
    *(
        "",
        ".",
        "..",
        "../esc",
        "../../esc",
        "/etc",
        "a/b",
        "a\\b",
        ".hidden",
        "a\0b",
        "a\nb",
        "\x1b[2J",
    ),
    *("x" * 201, "ä" * 101, None, 7, ["a"]),
]


@pytest.mark.parametrize("name", NAMES)
def test_plain_names_stay_as_they_are(name, tmp_path):
    assert plain_name(name, "--name") == name
    assert path_below(tmp_path, f"{name}/{name}", "list") == tmp_path / name / name


@pytest.mark.parametrize("name", LEADING_OUT)
def test_a_name_that_leads_elsewhere_is_refused(name, tmp_path):
    with pytest.raises(ConfigError, match=r"^--name: found the name .*, expected one that"):
        plain_name(name, "--name")
    if name != "a/b":
        with pytest.raises(SchemaError, match=r"list .*: found the name"):
            path_below(tmp_path, name, "list")


@pytest.mark.parametrize("path", ["a/../b", "a//b", "/a", "a/", "a/./b"])
def test_a_path_of_which_a_part_leads_elsewhere_is_refused(path, tmp_path):
    with pytest.raises(SchemaError):
        path_below(tmp_path, path, "list")
