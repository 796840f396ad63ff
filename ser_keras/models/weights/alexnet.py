"""ImageNet weights for the convolutions of the AlexNets, from the files that people have.

| file | plan | holds |
|---|---|---|
| `bvlc_alexnet.npy` | bvlc | pickled dict: layer to [kernel, bias]; (height, width, in, out) |
| `alexnet-owt-7be5be79.pth` | torchvision | zip: pickle and raw tensors; (out, in, height, width) |
| `alexnet-owt-4df8aa71.pth` | torchvision | the same tensors in torch's legacy container |

All are pickles, which `pickled` and `legacy_torch` read without running them; torch is not
needed. `convert_weights` writes the five convolutions to an HDF5 file, which is data only.

Departures: Caffe's network was trained on blue-green-red images of 0 to 255 less their mean. Its
first kernel and bias are rewritten once, here, for this project's red-green-blue images less
ImageNet's mean, in units of ImageNet's deviation: conv1's outputs are then exactly Caffe's.
"""

import hashlib
import io
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import keras
import numpy as np

from ser_keras.errors import WeightsError
from ser_keras.files import replacing
from ser_keras.layers.spectrogram_image import IMAGENET_MEAN
from ser_keras.models.alexnet_fcn import PLANS
from ser_keras.models.weights.imagenet import for_standardized_rgb, h5_array, read_bytes
from ser_keras.models.weights.legacy_torch import LEGACY_START, read_legacy_torch_tensors
from ser_keras.models.weights.pickled import read_npy_layers, read_torch_tensors

Weights = dict[str, list[np.ndarray]]

CAFFE_MEAN_BGR = (104.00698793, 116.66876762, 122.67891434)
TORCHVISION_NAMES = {
    "conv1": "features.0",
    "conv2": "features.3",
    "conv3": "features.6",
    "conv4": "features.8",
    "conv5": "features.10",
}
REMEDY = (
    "Give bvlc_alexnet.npy (the Caffe network as NumPy), torchvision's alexnet-owt-*.pth (either "
    "container), or the .h5 that `ser weights convert` made from one of them."
)


def inspect_weights(path: str | Path) -> str:
    """Returns the plan a weights file is for, reading and checking the whole file.

    Args:
        path: str or Path. A file of one of the three kinds.

    Returns:
        str. "bvlc" or "torchvision": the `plan` option of `build_alexnet_fcn`.

    Raises:
        WeightsError: the file is missing, of another kind, hostile or of other shapes.
    """
    return read_weights(path)[0]


def weights_options(path: str | Path) -> dict[str, Any]:
    """Returns the options that a weights file decides: {"plan": ...}.

    Raises:
        WeightsError: as `inspect_weights` does.
    """
    return {"plan": inspect_weights(path)}


def load_weights(model: keras.Model, path: str | Path) -> dict[str, Any]:
    """Copies the convolutions of a weights file into `model`; the other layers stay as they are.

    Args:
        model: keras.Model of `alexnet_fcn` or `alexnet_fixed`, of full width and three input
            channels.
        path: str or Path. A file of one of the three kinds.

    Returns:
        dict with "plan", "sha256" (of the file), "file" (its name) and "layers" (those loaded).

    Raises:
        WeightsError: the file cannot be used, or the model has another shape than it.
    """
    plan, sha256, weights = read_weights(path)
    for name, (kernel, _) in weights.items():
        layer = model.get_layer(name)
        if tuple(layer.kernel.shape) != kernel.shape:
            raise WeightsError(
                f"{path}: {name} has a kernel of {kernel.shape}, the model's has "
                f"{tuple(layer.kernel.shape)}. Build the model with plan={plan!r}, "
                "input_channels=3 and width=1.0."
            )
    for name, arrays in weights.items():
        model.get_layer(name).set_weights(arrays)
    return {"plan": plan, "sha256": sha256, "file": Path(path).name, "layers": list(weights)}


def convert_weights(source: str | Path, target: str | Path) -> dict[str, str]:
    """Writes the convolutions of a downloaded file as one HDF5 file, made visible when whole.

    Args:
        source: str or Path. `bvlc_alexnet.npy` or `alexnet-owt-*.pth`.
        target: str or Path. Ends in `.h5`; in `.weights.h5` where Keras's own `load_weights`, with
            `skip_mismatch=True`, is to read it as well.

    Returns:
        dict with "plan", "sha256" (of the source) and "file" (the target).

    Raises:
        WeightsError: the source cannot be used, or the target has another suffix or cannot be
            written.
    """
    target = Path(target)
    if not target.name.endswith(".h5"):
        raise WeightsError(
            f"{target}: found a name ending in {target.suffix or 'nothing'!r}, expected one ending "
            "in .h5 or .weights.h5. Give the output another name."
        )
    plan, sha256, weights = read_weights(source)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as stream:
            _write_h5(stream, plan, sha256, weights)
    except OSError as error:
        raise WeightsError(
            f"{target}: cannot be written ({error.strerror or error}). Give a file in a folder "
            "where you may write."
        ) from error
    return {"plan": plan, "sha256": sha256, "file": str(target)}


def _write_h5(stream: BinaryIO, plan: str, sha256: str, weights: Weights) -> None:
    with h5py.File(stream, "w") as file:
        file.attrs["plan"] = plan
        file.attrs["source_sha256"] = sha256
        for number, arrays in enumerate(weights.values(), start=1):
            for index, array in enumerate(arrays):
                file[f"{_h5_group(number)}/{index}"] = array


def read_weights(path: str | Path) -> tuple[str, str, Weights]:
    """Reads one weights file of any of the three kinds.

    Args:
        path: str or Path.

    Returns:
        tuple of plan, sha256 of the file, and dict of "conv1".."conv5" to [kernel, bias], float32;
        kernels are (height, width, channels / groups, filters) for ImageNet-standardised inputs.

    Raises:
        WeightsError: the file is missing, of another kind, hostile or of other shapes.
    """
    data = read_bytes(Path(path), REMEDY)
    reader = next((READERS[magic] for magic in READERS if data.startswith(magic)), None)
    try:
        if reader is None:
            raise WeightsError(f"starts with {data[:8]!r}, which is no weights file known here")
        plan, weights = reader(data)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}. {REMEDY}") from error
    return plan, hashlib.sha256(data).hexdigest(), weights


def _from_caffe(data: bytes) -> tuple[str, Weights]:
    weights = _checked("bvlc", read_npy_layers(data))
    weights["conv1"] = for_standardized_rgb(*weights["conv1"], mean_bgr=CAFFE_MEAN_BGR)
    return "bvlc", weights


def _from_torchvision(data: bytes) -> tuple[str, Weights]:
    return _from_tensors(read_torch_tensors(data))


def _from_legacy_torchvision(data: bytes) -> tuple[str, Weights]:
    return _from_tensors(read_legacy_torch_tensors(data))


def _from_tensors(tensors: dict[str, np.ndarray]) -> tuple[str, Weights]:
    weights = {}
    for name, prefix in TORCHVISION_NAMES.items():
        if not {f"{prefix}.weight", f"{prefix}.bias"} <= set(tensors):
            raise WeightsError(f"has no tensors {prefix}.weight and {prefix}.bias")
        kernel = tensors[f"{prefix}.weight"]
        if kernel.ndim != 4:
            raise WeightsError(f"{prefix}.weight has shape {kernel.shape}, expected four axes")
        weights[name] = [kernel.transpose(2, 3, 1, 0), tensors[f"{prefix}.bias"]]
    return "torchvision", _checked("torchvision", weights)


def _from_converted(data: bytes) -> tuple[str, Weights]:
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            plan = file.attrs.get("plan")
            if plan not in PLANS:
                raise WeightsError(f"is an HDF5 file for plan {plan!r}, not a converted encoder")
            weights = {
                f"conv{number}": [
                    h5_array(file, f"{_h5_group(number)}/{index}", shape)
                    for index, shape in enumerate(shapes)
                ]
                for number, shapes in enumerate(_shapes(plan), start=1)
            }
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise WeightsError(f"cannot be read as HDF5 ({error})") from error
    return plan, _checked(plan, weights)


def _h5_group(number: int) -> str:
    """Returns where Keras's own `.weights.h5` keeps the model's convolution of that number."""
    return f"layers/split_conv2d{f'_{number - 1}' if number > 1 else ''}/vars"


def _shapes(plan: str) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Returns the published (kernel shape, bias shape) of each convolution."""
    channels = [len(IMAGENET_MEAN), *(size.filters for size in PLANS[plan])]
    return [
        ((size.window, size.window, inputs // size.groups, size.filters), (size.filters,))
        for inputs, size in zip(channels, PLANS[plan], strict=False)
    ]


def _checked(plan: str, weights: Weights) -> Weights:
    """Returns the five convolutions as float32, after comparing every shape with the plan's."""
    checked = {}
    for number, expected in enumerate(_shapes(plan), start=1):
        name = f"conv{number}"
        arrays = weights.get(name, [])
        shapes = tuple(np.shape(array) for array in arrays)
        if shapes != expected:
            raise WeightsError(f"{name} has shapes {shapes}, expected {expected} for {plan}")
        if not all(np.isfinite(array).all() for array in arrays):
            raise WeightsError(f"{name} holds values that are not finite")
        checked[name] = [np.ascontiguousarray(array, np.float32) for array in arrays]
    return checked


READERS = {
    b"\x93NUMPY": _from_caffe,
    b"PK\x03\x04": _from_torchvision,
    LEGACY_START: _from_legacy_torchvision,
    b"\x89HDF\r\n\x1a\n": _from_converted,
}
