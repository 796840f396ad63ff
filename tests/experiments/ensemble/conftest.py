"""Runs that may be changed, and files read back."""

import json
import shutil

import pytest


@pytest.fixture
def read():
    """Returns a function that reads a JSON file."""
    return lambda path: json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def copied(pool, tmp_path):
    """Returns a function that copies a run, so that its files can be changed."""

    def copy(number, name="copy"):
        return shutil.copytree(pool.runs[number], tmp_path / "runs" / name)

    return copy
