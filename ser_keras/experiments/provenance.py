"""The facts that make a result repeatable: versions, commit, command, features and folds."""

import functools
import importlib.metadata
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ser_keras.audit import Finding
    from ser_keras.data.feature_set import FeatureSet
    from ser_keras.labels import ClassSet
    from ser_keras.protocols import Protocol

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


def protocol_facts(protocol: "Protocol") -> dict[str, Any]:
    """Returns the facts about a protocol, with the hash of its folds."""
    return {
        "name": protocol.name,
        "sha256": protocol.sha256,
        "seed": protocol.seed,
        "shares_speakers": protocol.shares_speakers,
        "shares_sentences": protocol.shares_sentences,
        "folds": len(protocol.folds),
    }


def class_set_dict(class_set: "ClassSet") -> dict[str, Any]:
    """Returns name, order and merged labels as plain values."""
    return {
        "name": class_set.name,
        "classes": list(class_set.classes),
        "merge": dict(class_set.merge),
    }


def feature_facts(feature_set: "FeatureSet") -> dict[str, Any]:
    """Returns the facts about the features of a result, as plain values."""
    return {
        "spec_name": feature_set.schema.spec_name,
        "spec": feature_set.schema.spec,
        "fingerprint": feature_set.manifest["fingerprint"],
        "records": feature_set.manifest["num_records"],
        "dead": feature_set.manifest["num_dead"],
    }


def finding_dict(finding: "Finding") -> dict[str, Any]:
    """Returns a finding as plain values, with at most ten of its keys."""
    return vars(finding) | {"keys": list(finding.keys)[:10]}
