"""What is read back of damaged files, and which names may become names of files."""

import os
import re
import resource
import subprocess
import sys

import pytest

from ser_keras.errors import ConfigError, SchemaError
from ser_keras.files import (
    parse_json,
    parse_yaml,
    path_below,
    plain_name,
    read_json,
    write_json,
    write_text,
)
from tests.architecture import ROOT


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


# === Hostile texts ===

DEEP = 100_000


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_json, "[" * DEEP),
        (parse_json, '{"a":' * DEEP),
        (parse_json, b"\xff\xfe{"),
        (parse_yaml, "[" * DEEP),
        (parse_yaml, "{a: " * 5000),
        (parse_yaml, "- " * 5000 + "a"),
        (parse_yaml, b"\xff\xfe\x00"),
        (parse_yaml, "a: 2024-13-45"),
        (parse_yaml, "!!python/object/apply:os.system [ls]"),
        (parse_yaml, "a: [1"),
    ],
)
def test_what_cannot_be_parsed_is_a_value_error(parse, text):
    with pytest.raises(ValueError, match=r"\S"):
        parse(text)


def test_readers_of_files_parse_by_the_functions_that_refuse_deep_nesting():
    """Others than these read what this project has just written, in memory or in its own folder."""
    own = {
        "ser_keras/files.py",
        "ser_keras/training/distribute.py",
        "pipeline/features/recordings.py",
        "pipeline/gates/infra_probe.py",
        "pipeline/lineage/records.py",
    }
    readers = set()
    for package in ("ser_keras", "pipeline", "tuning", "serving"):
        for path in (ROOT / package).rglob("*.py"):
            code = path.read_text(encoding="utf-8")
            if re.search(r"json\.loads?\b|yaml\.(safe_)?load\b", code):
                readers.add(path.relative_to(ROOT).as_posix())
    # The client is copied into other services, and the server reads requests.
    alone = ("serving/client/", "serving/server/")
    assert {name for name in readers if not name.startswith(alone)} == own


# === Errors of the machine ===


def limited(code, *arguments):
    """Runs Python in a process whose files end at 4096 bytes."""
    program = f"import sys; from pathlib import Path; {code}"
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )


def test_a_file_that_cannot_grow_is_named_and_leaves_nothing(tmp_path):
    path = tmp_path / "a.json"
    done = limited(
        "from ser_keras.errors import system_error; from ser_keras.files import write_text\n"
        "try: write_text(Path(sys.argv[1]), 'a' * 10000)\n"
        "except OSError as error: print(system_error(error))",
        path,
    )
    sentence = "File too large. Make room there, and give the command again."
    assert done.stdout == f"{path}: {sentence}\n", done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_below_a_file_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Not a directory|File exists") as refused:
        write_text(tmp_path / "file" / "below" / "a.json", "a")
    assert str(tmp_path / "file") in os.fsdecode(refused.value.filename)


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
