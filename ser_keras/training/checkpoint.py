"""The whole state of a training run in one atomic file, so that a killed run resumes exactly.

`keras.callbacks.BackupAndRestore` leaves out the state of the dropout seeds and writes in place.
This module stores every variable of model and optimizer, seed states included. The file is complete
or absent, and the one before it is kept in case the newest cannot be read.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ser_keras.errors import SchemaError
from ser_keras.files import parse_json, write_atomic
from ser_keras.settings import differences


def arrays_of(variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    """Returns copies of the variables' values."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def assign(variables: Sequence[keras.Variable], arrays: Sequence[np.ndarray], where: Any) -> None:
    """Gives each variable its stored value.

    Raises:
        SchemaError: the number or a shape differs; the checkpoint is of another configuration.
    """
    expected = [tuple(variable.shape) for variable in variables]
    if [array.shape for array in arrays] != expected:
        raise SchemaError(
            f"{where}: holds {len(arrays)} arrays, expected {len(expected)} of this model's "
            "shapes. It is of another configuration: choose another --output, or remove it."
        )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def check_identity(
    path: Path,
    stored: Mapping[str, Any],
    identity: Mapping[str, str],
    config: Mapping[str, Any] | None = None,
) -> None:
    """Refuses to take over the result of another training.

    Args:
        path: the file that `stored` was read from.
        stored: a record or a checkpoint's facts, with its "identity".
        identity: hashes by name that it must have, see `FoldParts.identity`.
        config: the configuration that is asked for as plain values, which the error compares with
            the "config" of `stored`.

    Raises:
        SchemaError: another recipe, fold, feature set or unlabelled speech, or none is noted.
    """
    phrases = identity_differences(stored, identity)
    if phrases and config is not None and "config" in stored:
        settings = differences(stored["config"], config, ignored=["settings"])
        # Values say more than the two hashes of the recipe.
        phrases = [*settings, *(text for text in phrases if not text.startswith("recipe:"))]
    if phrases:
        raise SchemaError(
            f"{path}: made with another configuration ({'; '.join(phrases)}). Choose another "
            "--output, or remove it."
        )


def identity_differences(stored: Mapping[str, Any], identity: Mapping[str, str]) -> list[str]:
    """Returns a phrase with both hashes for every entry of `identity` that `stored` lacks."""
    before = stored.get("identity", {})
    return [
        f"{what}: {(before.get(what, 'not noted') or 'none')[:12]} there, "
        f"{value[:12] or 'none'} asked"
        for what, value in identity.items()
        if before.get(what) != value
    ]


def weights_sha256(model: keras.Model) -> str:
    """Returns one hash of all weights, equal for trainings with equal results."""
    digest = hashlib.sha256()
    for array in arrays_of(model.weights):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class Checkpoint:
    """The state of a run after its last finished epoch.

    Args:
        folder: Path. Holds `state.npz` and, for a damaged one, the state before it.
    """

    def __init__(self, folder: Path):
        self.paths = (folder / "state.npz", folder / "state-previous.npz")

    def save(
        self, variables: Sequence[keras.Variable], best: Sequence[np.ndarray], meta: dict[str, Any]
    ) -> None:
        """Stores the values, the best weights so far and further facts that JSON can hold."""
        newest, previous = self.paths
        if newest.exists():
            os.replace(newest, previous)
        arrays = {f"v{i:04}": array for i, array in enumerate(arrays_of(variables))}
        arrays |= {f"b{i:04}": array for i, array in enumerate(best)}
        text = np.frombuffer(json.dumps(meta).encode(), np.uint8)
        write_atomic(newest, lambda file: np.savez(file, meta=text, **arrays))

    def load(self) -> tuple[list[np.ndarray], list[np.ndarray], dict[str, Any]] | None:
        """Returns (values, best weights, meta) of the newest readable state, None if none is."""
        for path in self.paths:
            try:
                # np.load leaves a damaged file open when it is given the path itself.
                with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
                    meta = parse_json(stored["meta"].tobytes())
                    values = [stored[name] for name in sorted(stored.files) if name[0] == "v"]
                    best = [stored[name] for name in sorted(stored.files) if name[0] == "b"]
                return values, best, meta
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
                continue
        return None

    def remove(self) -> None:
        """Removes the files of a run that has ended."""
        for path in self.paths:
            path.unlink(missing_ok=True)
