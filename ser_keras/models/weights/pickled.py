"""Arrays out of pickled weights files, without running them.

A pickle is a program. `DataUnpickler` knows the few names that NumPy's and torch's own files use,
and answers each with an inert stand-in of this module: no object of NumPy is built from a state
that the file dictates, and no module is imported. Every other name ends the reading.
"""

import io
import math
import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ser_keras.errors import WeightsError

MAX_MEMBER_BYTES = 1 << 29
SAVE_AGAIN = (
    "Save it again where torch is installed: torch.save({name: tensor.float().contiguous() for "
    "name, tensor in torch.load(FILE, map_location='cpu', weights_only=True).items()}, 'new.pth')"
)
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
        layers = DataUnpickler(stream, NUMPY_NAMES, encoding="latin1").load().item()
        return {_text(name): [array.numpy() for array in arrays] for name, arrays in layers.items()}
    except DAMAGE as error:
        raise WeightsError(f"cannot be read as a pickled NumPy file ({error})") from error


def read_torch_tensors(data: bytes) -> dict[str, np.ndarray]:
    """Returns the tensors of a torch state dict saved as a zip, as torch does since 1.6.

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

            def values_of(pid: Any) -> np.ndarray:
                _, key, _, count = check_storage(pid)
                values = np.frombuffer(_member(archive, f"{root}data/{key}"), "<f4")
                if values.size != count:
                    raise WeightsError(
                        f"storage {key} holds {values.size} values, expected {count}"
                    )
                return values

            stream = io.BytesIO(_member(archive, roots[0]))
            return tensors_of(DataUnpickler(stream, TORCH_NAMES, values_of).load())
    except DAMAGE as error:
        raise WeightsError(f"cannot be read as a zipped torch file ({error})") from error


def check_storage(pid: Any) -> tuple[Any, ...]:
    """Returns what follows the word "storage" in a torch pickle's reference to stored values.

    Args:
        pid: tuple of "storage", type, key, device and number of values, maybe with more behind.

    Raises:
        WeightsError: it refers to anything but float32 values.
    """
    kind, storage, key, *_ = pid
    if kind != "storage" or storage() is not np.float32 or not str(key).isdigit():
        raise WeightsError(f"its pickle refers to {kind!r} {key!r}, expected float storage")
    return tuple(pid[1:])


def tensors_of(state_dict: Any) -> dict[str, np.ndarray]:
    """Returns the tensors and parameters of an unpickled state dict; leaves out all else."""
    tensors = {}
    for name, value in state_dict.items():
        tensor = value.tensor if isinstance(value, _Parameter | _LegacyTensor) else value
        tensor = tensor.tensor if isinstance(tensor, _LegacyTensor) else tensor
        if isinstance(tensor, np.ndarray):
            tensors[_text(name)] = tensor
    return tensors


class DataUnpickler(pickle.Unpickler):
    """Reads pickles of arrays; see the module.

    Args:
        stream: io.BytesIO. Where the pickle starts.
        names: mapping of (module, name) to what stands in for it.
        values_of: function from a reference to values outside of the pickle to the values; None
            where a file has none.
        **kwargs: of `pickle.Unpickler`.
    """

    def __init__(
        self,
        stream: io.BytesIO,
        names: Mapping[tuple[str, str], Any],
        values_of: Callable[[Any], np.ndarray] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(stream, **kwargs)
        self._names = names
        self._values_of = values_of

    def find_class(self, module: str, name: str) -> Any:
        """Returns the stand-in for a known name.

        Raises:
            WeightsError: the name is not one of them.
        """
        if (module, name) not in self._names:
            if module == "torch" and name.endswith("Storage"):
                raise WeightsError(f"holds values of a torch.{name}, not of float32. {SAVE_AGAIN}")
            raise WeightsError(
                f"its pickle asks for {module}.{name}, which no weights need: it may be hostile"
            )
        stand_in = self._names[module, name]
        return stand_in if stand_in in (_Parameter, _LegacyTensor) else _StandIn(stand_in)

    def persistent_load(self, pid: Any) -> np.ndarray:
        """Returns the float32 values of one stored tensor."""
        if self._values_of is None:
            raise WeightsError("its pickle refers to data outside of it")
        return self._values_of(pid)


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


class _LegacyTensor:
    """A tensor as the first versions of torch pickle it: of (storage, offset, size, stride)."""

    tensor: Any = None

    def __setstate__(self, state: Any) -> None:
        self.tensor = _tensor(*state)


class _Parameter:
    """A parameter: made of its tensor, or empty with the tensor first in its state of five."""

    tensor: Any

    def __new__(cls, tensor: Any = None, *_: Any) -> "_Parameter":
        """Returns the parameter; a pickle may ask for it without a call of `__init__`."""
        parameter = super().__new__(cls)
        parameter.tensor = tensor
        return parameter

    def __setstate__(self, state: Any) -> None:
        if len(state) == 5:
            self.tensor = state[0]


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise WeightsError(f"its pickle encodes bytes as {encoding!r}, expected latin1")
    return text.encode("latin1")


def _tensor(storage: np.ndarray, offset: int, size: tuple, stride: tuple, *_: Any) -> np.ndarray:
    contiguous = tuple(math.prod(size[axis + 1 :]) for axis in range(len(size)))
    if tuple(stride) != contiguous:
        raise WeightsError(
            f"a tensor {size} has strides {stride}, expected {contiguous}. {SAVE_AGAIN}"
        )
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
# What files of the first versions of torch, such as torchvision's, ask for besides.
LEGACY_TORCH_NAMES: dict[tuple[str, str], Callable[..., Any]] = {
    **TORCH_NAMES,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch", "FloatTensor"): _LegacyTensor,
    ("torch.nn.parameter", "Parameter"): _Parameter,
}
