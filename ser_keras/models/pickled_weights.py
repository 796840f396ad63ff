"""Arrays out of pickled weights files, without running them.

A pickle is a program. `_DataUnpickler` knows the seven names that NumPy's and torch's own files
use, and answers each with an inert stand-in of this module: no object of NumPy is built from a
state that the file dictates, and no module is imported. Every other name ends the reading.
"""

import io
import math
import pickle
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from ser_keras.errors import WeightsError

MAX_MEMBER_BYTES = 1 << 29
DAMAGE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)


def read_npy_layers(data: bytes) -> dict[str, list[np.ndarray]]:
    """Returns the arrays of a `.npy` that holds one pickled dict of layer to [kernel, bias].

    Args:
        data: bytes of the file.

    Returns:
        dict of layer name to list of float arrays.

    Raises:
        WeightsError: the file is damaged, or names anything but NumPy arrays.
    """
    try:
        stream = io.BytesIO(data)
        major, _ = np.lib.format.read_magic(stream)
        read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
        shape, _, dtype = read[major](stream)
        if shape != () or not dtype.hasobject:
            raise WeightsError(f"holds an array {dtype}{shape}, expected one pickled dict")
        layers = _DataUnpickler(stream, encoding="latin1").load().item()
        return {_text(name): [array.numpy() for array in arrays] for name, arrays in layers.items()}
    except DAMAGE as error:
        raise WeightsError(f"cannot be read as a pickled NumPy file ({error})") from error


def read_torch_tensors(data: bytes) -> dict[str, np.ndarray]:
    """Returns the tensors of a torch state dict saved as a zip.

    Args:
        data: bytes of the file.

    Returns:
        dict of tensor name to float32 array.

    Raises:
        WeightsError: the file is damaged, or names anything but float tensors.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            roots = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(roots) != 1:
                raise WeightsError(f"holds {len(roots)} files data.pkl, expected one")
            root = roots[0].removesuffix("data.pkl")
            stream = io.BytesIO(_member(archive, roots[0]))
            tensors = _DataUnpickler(stream, archive=archive, root=root).load()
            return {
                _text(name): tensor
                for name, tensor in tensors.items()
                if isinstance(tensor, np.ndarray)
            }
    except DAMAGE as error:
        raise WeightsError(f"cannot be read as a zipped torch file ({error})") from error


class _DataUnpickler(pickle.Unpickler):
    """Reads pickles of arrays; see the module."""

    def __init__(
        self,
        stream: io.BytesIO,
        *,
        archive: zipfile.ZipFile | None = None,
        root: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(stream, **kwargs)
        self._archive = archive
        self._root = root

    def find_class(self, module: str, name: str) -> Any:
        """Returns the stand-in for a known name.

        Raises:
            WeightsError: the name is not one of them.
        """
        known = TORCH_NAMES if self._archive else NUMPY_NAMES
        if (module, name) not in known:
            raise WeightsError(
                f"its pickle asks for {module}.{name}, which no weights need: it may be hostile"
            )
        return _StandIn(known[module, name])

    def persistent_load(self, pid: Any) -> np.ndarray:
        """Returns the float32 values of one stored tensor."""
        if self._archive is None:
            raise WeightsError("its pickle refers to data outside of it")
        kind, storage, key, _, count = pid
        if kind != "storage" or storage() is not np.float32 or not str(key).isdigit():
            raise WeightsError(f"its pickle refers to {kind!r} {key!r}, expected float storage")
        values = np.frombuffer(_member(self._archive, f"{self._root}data/{key}"), "<f4")
        if values.size != count:
            raise WeightsError(f"storage {key} holds {values.size} values, expected {count}")
        return values


class _StandIn:
    """A callable whose state no pickle can change."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *args: Any) -> Any:
        return self._make(*args)

    def __setstate__(self, state: Any) -> None:
        raise WeightsError("its pickle tries to change a function: it may be hostile")


class _PickledDtype:
    """What a file says about the type of an array's values."""

    def __init__(self, code: str, *_: Any) -> None:
        self.code = _text(code)
        self.order = "<"

    def __setstate__(self, state: Any) -> None:
        self.order = _text(state[1])


class _PickledArray:
    """What a file says about an array: its state, not yet believed."""

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.dtype, self.fortran, self.data = state

    def item(self) -> Any:
        """Returns the only object of an object array."""
        if not self.dtype.code.startswith("O") or len(self.data) != 1:
            raise WeightsError("its pickle is no array of one object")
        return self.data[0]

    def numpy(self) -> np.ndarray:
        """Returns the values, copied out of the file's bytes."""
        if self.dtype.code not in ("f4", "f8"):
            raise WeightsError(f"an array has values of type {self.dtype.code}, expected f4 or f8")
        order = ">" if self.dtype.order == ">" else "<"
        raw = self.data.encode("latin1") if isinstance(self.data, str) else self.data
        values = np.frombuffer(raw, order + self.dtype.code)
        return values.reshape(self.shape, order="F" if self.fortran else "C").copy()


class _StateDict(dict):
    """A dict that drops the attributes which torch hangs on it."""

    def __setstate__(self, state: Any) -> None:
        pass


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise WeightsError(f"its pickle encodes bytes as {encoding!r}, expected latin1")
    return text.encode("latin1")


def _tensor(storage: np.ndarray, offset: int, size: tuple, stride: tuple, *_: Any) -> np.ndarray:
    contiguous = tuple(math.prod(size[axis + 1 :]) for axis in range(len(size)))
    if tuple(stride) != contiguous:
        raise WeightsError(f"a tensor {size} has strides {stride}, expected {contiguous}")
    return storage[offset : offset + math.prod(size)].reshape(size)


def _text(name: Any) -> str:
    if not isinstance(name, str):
        raise WeightsError(f"has a name {name!r} that is no text")
    return name


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    info = archive.getinfo(name)
    # torch never compresses; a member that does could unfold to any size.
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > MAX_MEMBER_BYTES:
        raise WeightsError(f"{name} is compressed or too large, which torch's files never are")
    return archive.read(name)


NUMPY_NAMES: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): lambda *_: _PickledArray(),
    ("numpy._core.multiarray", "_reconstruct"): lambda *_: _PickledArray(),
    ("numpy", "ndarray"): lambda *_: None,
    ("numpy", "dtype"): _PickledDtype,
    ("_codecs", "encode"): _encode,
}
TORCH_NAMES: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): lambda *_: _StateDict(),
    ("torch", "FloatStorage"): lambda *_: np.float32,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
}
