import os

import pytest

from pipeline.publishing import file_hashes
from pipeline.publishing.file_hashes import Hashes, digest


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """A file to remember hashes in, of files that need no time to settle."""
    monkeypatch.setattr(file_hashes, "SETTLED_S", -1.0)
    return tmp_path / "memory.json"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "one").write_text("1")
    (folder / "sub/two").write_text("2")
    return folder


def test_a_tree_is_known_by_the_names_and_content_of_its_files(folder):
    before = Hashes().of(folder)
    assert list(Hashes().tree(folder)) == ["one", "sub/two"]
    (folder / "one").rename(folder / "three")
    renamed = Hashes().of(folder)
    (folder / "three").write_text("3")
    assert len({before, renamed, Hashes().of(folder)}) == 3


def test_an_unchanged_file_is_not_read_again(folder, memory):
    first = Hashes(memory)
    first.of(folder)
    first.save()
    again = Hashes(memory)
    for known in again.known.values():
        known[-1] = "remembered"
    assert set(again.tree(folder).values()) == {"remembered"}


@pytest.mark.parametrize("times_kept", [False, True])
def test_a_file_of_the_same_size_is_read_again_when_it_was_written(folder, memory, times_kept):
    hashes = Hashes(memory)
    before, status = hashes.file(folder / "one"), (folder / "one").stat()
    (folder / "one").write_text("x")
    if times_kept:
        os.utime(folder / "one", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert hashes.file(folder / "one") != before


def test_a_file_that_was_just_written_is_not_remembered(folder, tmp_path):
    hashes = Hashes(tmp_path / "memory.json")
    hashes.of(folder)
    assert hashes.known == {}


def test_a_file_that_is_gone_is_forgotten(folder, memory):
    hashes = Hashes(memory)
    hashes.of(folder)
    (folder / "one").unlink()
    hashes.save()
    assert list(Hashes(memory).known) == [str(folder / "sub/two")]


@pytest.mark.parametrize("damage", ["[", "[]", "\x00"])
def test_a_damaged_memory_is_no_memory(folder, memory, damage):
    memory.write_text(damage)
    assert Hashes(memory).of(folder) == Hashes().of(folder)


def test_what_is_no_file_has_no_hash(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    assert Hashes().tree(tmp_path) == {"link": "", "pipe": ""}
    assert Hashes().of(tmp_path / "nothing") == ""


def test_a_digest_tells_values_apart():
    assert len({digest({"a": value}) for value in (1, 2, "1", None, [1])}) == 5
