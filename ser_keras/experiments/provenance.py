"""The facts that make a result repeatable: versions, commit and command."""

import functools
import importlib.metadata
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# Beside result.json in a run's folder, where that is of the adapted track.
BLIND_RESULT = "result-blind.json"

PACKAGES = (
    "ser-keras",
    "tensorflow",
    "tensorflow-io",
    "keras",
    "apache-beam",
    "librosa",
    "numpy",
    "scipy",
    "soundfile",
    "soxr",
    "scikit-learn",
    "opensmile",
)


def versions(names: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Returns the versions of Python and of the packages that influence results."""
    version_of = {"python": platform.python_version()}
    for name in names:
        try:
            version_of[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return version_of


@functools.cache
def git_commit() -> str:
    """Returns the commit of the source tree, `+` appended where files differ, or "unknown".

    It is determined once, at the start of a run; later commits do not change the running code.
    """
    folder = Path(__file__).resolve().parent
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return commit + (
            "+" if _git(folder, "status", "--porcelain", "--untracked-files=no") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    completed = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=10
    )
    return completed.stdout.strip()


def command() -> str:
    """Returns the command line of this process, as a person would type it."""
    name = Path(sys.argv[0]).name
    # `python -m ser_keras` is the same command under another name.
    return shlex.join(["ser" if name == "__main__.py" else name, *sys.argv[1:]])
