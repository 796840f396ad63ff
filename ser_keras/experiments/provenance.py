"""What a number needs beside it to be repeated: versions, commit, machine, command."""

import functools
import importlib.metadata
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

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
)


def versions(names: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Returns the versions of Python and of the packages that touch a number."""
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def git_commit() -> str:
    """Returns the commit of the source tree, `+` appended where files differ, or "unknown".

    Asked once, when a run starts: what is committed meanwhile is not what runs.
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
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=10
    )
    return done.stdout.strip()


def command() -> str:
    """Returns the command line of this process, as a person would type it."""
    name = Path(sys.argv[0]).name
    # `python -m ser_keras` is the same command under another name.
    return shlex.join(["ser" if name == "__main__.py" else name, *sys.argv[1:]])
