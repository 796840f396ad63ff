"""Fixtures every test may use: the real corpora, seeds, and how long hypothesis may take."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

CORPORA = ("ravdess", "emodb", "emodb-2s", "nemo")
SEED = 20240607

# On a busy machine one example in fifty takes a second; that says nothing about the code.
settings.register_profile("project", deadline=None, max_examples=50)
# A red run must be red again on another machine.
settings.register_profile("ci", settings.get_profile("project"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "project")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real corpora, from SER_KERAS_DATA; the test is skipped where it is unset."""
    value = os.environ.get("SER_KERAS_DATA")
    if not value:
        pytest.skip(f"set SER_KERAS_DATA to a folder with {', '.join(f'{c}/' for c in CORPORA)}")
    root = Path(value).resolve()
    missing = [name for name in CORPORA if not (root / name).is_dir()]
    if missing:
        # A mistyped path must not look like a run in which everything was skipped.
        pytest.fail(f"SER_KERAS_DATA={value}: no folder {', '.join(missing)} in it")
    return root


@pytest.fixture
def keras_seed() -> int:
    """Seeds Python's, NumPy's and the backend's generators; for tests that train or initialise."""
    import keras

    keras.utils.set_random_seed(SEED)
    return SEED


@pytest.fixture
def ser(monkeypatch, capsys):
    """Returns a function that runs `ser ARGUMENTS` and gives (exit code, stdout, stderr)."""
    from ser_keras.cli import app as cli

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["ser", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return ended.value.code or 0, " ".join(printed.out.split()), " ".join(printed.err.split())

    return run
