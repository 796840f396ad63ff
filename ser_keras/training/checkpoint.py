"""Everything a training run needs to go on as if nothing had happened, in one atomic file.

`keras.callbacks.BackupAndRestore` leaves out the state of the dropout seeds and writes in place.
Here every variable of model and optimizer is stored, seed states included, the file is complete
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
from ser_keras.files import write_atomic


def arrays_of(variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    """Returns copies of the variables' values."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def assign(variables: Sequence[keras.Variable], arrays: Sequence[np.ndarray], where: Any) -> None:
    """Gives each variable its stored value.

    Raises:
        SchemaError: the number or a shape differs; the checkpoint is of another configuration.
    """
    found, expected = [a.shape for a in arrays], [tuple(v.shape) for v in variables]
    if found != expected:
        raise SchemaError(
            f"{where}: holds {len(found)} arrays, expected {len(expected)} of this model's shapes. "
            "It is of another configuration: choose another --output, or remove it."
        )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def refuse_other(where: Path, stored: Mapping[str, Any], now: Mapping[str, str]) -> None:
    """Refuses to take over what was made from something else than what is asked for now.

    Args:
        where: what was found.
        stored: what is written there; its "identity" is compared.
        now: hashes by name, see `FoldParts.identity`.

    Raises:
        SchemaError: another recipe, fold, feature set or unlabelled speech, or none is noted.
    """
    if other := differing(stored, now):
        raise SchemaError(
            f"{where}: made with another configuration ({'; '.join(other)}). Choose another "
            "--output, or remove it."
        )


def differing(stored: Mapping[str, Any], now: Mapping[str, str]) -> list[str]:
    """Returns what of `now` is not as the "identity" in `stored` says, each with both hashes."""
    before = stored.get("identity", {})
    return [
        f"{what} {(before.get(what, 'not noted') or 'none')[:12]}, now {value[:12] or 'none'}"
        for what, value in now.items()
        if before.get(what) != value
    ]


def weights_sha256(model: keras.Model) -> str:
    """Returns one hash of all weights, for telling whether two trainings ended alike."""
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
        """Stores values, the best weights so far and what JSON can say of the run."""
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
                    meta = json.loads(stored["meta"].tobytes())
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
