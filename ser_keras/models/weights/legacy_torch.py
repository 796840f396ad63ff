"""Tensors out of files that torch wrote before 1.6, torchvision's older AlexNet among them.

Such a file is five pickles, one after the other, and then the values:

| part | holds |
|---|---|
| 1 | the number 0x1950a86a20f9469cfc6c |
| 2 | the version of the protocol, 1001 |
| 3 | byte order and sizes of the machine that wrote it |
| 4 | the state dict, with references to storages |
| 5 | the keys of the storages, in the order of what follows |
| rest | of each storage the number of its values, 8 bytes, and the values, little-endian |

The pickles are read as all others here are, without running them; torch is not needed.
"""

import io
import pickle
from typing import Any

import numpy as np

from ser_keras.errors import WeightsError
from ser_keras.models.weights.pickled import (
    DAMAGE,
    LEGACY_TORCH_NAMES,
    SAVE_AGAIN,
    DataUnpickler,
    check_storage,
    tensors_of,
)

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
# The first pickle, as every version of Python writes it in the protocol that torch uses.
LEGACY_START = pickle.dumps(LEGACY_MAGIC, protocol=2)
PROTOCOL_VERSION = 1001
VALUE_BYTES, COUNT_BYTES = 4, 8


def read_legacy_torch_tensors(data: bytes) -> dict[str, np.ndarray]:
    """Returns the tensors of a torch state dict in the container of torch before 1.6.

    Args:
        data: bytes of the file.

    Returns:
        dict of tensor name to float32 array.

    Raises:
        WeightsError: the file is damaged, names anything but float tensors, or is of a kind that
            has to be saved again.
    """
    try:
        return _read(data)
    except DAMAGE as error:
        raise WeightsError(f"cannot be read as a legacy torch file ({error})") from error


def _read(data: bytes) -> dict[str, np.ndarray]:
    stream = io.BytesIO(data)
    _check_header(*(DataUnpickler(stream, {}).load() for _ in range(3)))
    storages: dict[str, np.ndarray] = {}

    def storage_of(pid: Any) -> np.ndarray:
        _, key, _, count, *view = check_storage(pid)
        if key not in storages:
            promised = count * VALUE_BYTES + sum(values.nbytes for values in storages.values())
            # Checked before room is made: a small file can promise a huge storage.
            if not 0 <= promised <= len(data):
                raise WeightsError(f"storage {key} has {count} values, more than the file holds")
            storages[key] = np.zeros(count, "<f4")
        if storages[key].size != count:
            raise WeightsError(f"storage {key} has {storages[key].size} and {count} values")
        if not any(view):
            return storages[key]
        _, offset, size = view[0]
        return storages[key][offset : offset + size]

    # The tensors are views of their storages, which are filled when their values are reached.
    tensors = tensors_of(DataUnpickler(stream, LEGACY_TORCH_NAMES, storage_of).load())
    keys = DataUnpickler(stream, {}).load()
    if sorted(keys) != sorted(storages):
        raise WeightsError(f"has values of {len(keys)} storages, refers to {len(storages)}")
    for key in keys:
        _fill(storages[key], stream, key)
    return tensors


def _check_header(magic: Any, version: Any, machine: Any) -> None:
    if magic != LEGACY_MAGIC or version != PROTOCOL_VERSION:
        raise WeightsError(f"has the protocol {version!r}, expected {PROTOCOL_VERSION}")
    if machine["little_endian"] is not True:
        raise WeightsError(f"was written on a big-endian machine. {SAVE_AGAIN}")


def _fill(values: np.ndarray, stream: io.BytesIO, key: str) -> None:
    """Reads one storage's values into the array that the tensors look into."""
    count = int.from_bytes(stream.read(COUNT_BYTES), "little")
    if count != values.size:
        raise WeightsError(f"storage {key} holds {count} values, expected {values.size}")
    raw = stream.read(values.nbytes)
    if len(raw) != values.nbytes:
        raise WeightsError(f"ends within storage {key}")
    values[:] = np.frombuffer(raw, "<f4")
