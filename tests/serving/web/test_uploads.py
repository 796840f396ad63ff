"""The folder of what visitors sent: removed at the end, and after a kill at the next start."""

import os
import signal
import subprocess
import sys
import tempfile

import pytest

from serving.web.uploads import PREFIX, Quota, remove_leftovers, upload_folder
from tests.architecture import ROOT

HOLD = """\
import time
from serving.web.uploads import upload_folder
with upload_folder() as folder:
    (folder / "speech.wav").write_bytes(bytes(1000))
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def parent(tmp_path, monkeypatch):
    """A folder for temporary files of its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def other_page(parent):
    """(the process of another page, its folder)."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        yield process, parent / os.path.basename(process.stdout.readline().strip())
        process.kill()


def test_the_folder_is_empty_ours_alone_and_gone_at_the_end(parent):
    with upload_folder() as folder:
        assert folder.parent == parent
        assert list(folder.iterdir()) == []
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "below").mkdir()
        (folder / "below" / "speech.wav").write_bytes(b"x")
    assert list(parent.iterdir()) == []


def test_an_error_removes_it_as_well(parent):
    with pytest.raises(KeyboardInterrupt), upload_folder():
        raise KeyboardInterrupt
    assert list(parent.iterdir()) == []


def test_a_living_page_keeps_its_folder_and_a_killed_one_loses_it(parent, other_page):
    process, folder = other_page
    with upload_folder() as own:
        assert (folder / "speech.wav").stat().st_size == 1000
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
        assert folder.exists()
        remove_leftovers(parent)
        assert list(parent.iterdir()) == [own]


def test_links_files_and_folders_of_others_stay(parent):
    elsewhere = parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    (parent / f"{PREFIX}link").symlink_to(elsewhere)
    (parent / f"{PREFIX}file").touch()
    remove_leftovers(parent)
    assert (elsewhere / "kept").exists()
    assert (parent / f"{PREFIX}link").is_symlink()
    assert (parent / f"{PREFIX}file").exists()


def test_the_quota_counts_all_files_below_the_folder(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "one").write_bytes(bytes(10))
    (tmp_path / "a" / "b" / "two").write_bytes(bytes(20))
    (tmp_path / "a" / "link").symlink_to("/etc/passwd")
    quota = Quota(tmp_path, 100)
    assert 30 <= quota.stored_bytes() < 60
    assert quota.has_room_for(40)
    assert not quota.has_room_for(71)
