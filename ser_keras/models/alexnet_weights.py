"""ImageNet weights for the encoder of `alexnet_fcn`, from the two files people have.

| file | plan | holds |
|---|---|---|
| `bvlc_alexnet.npy` | bvlc | pickled dict of layer to [kernel, bias]; kernels (height, width, in, out) |
| `alexnet-owt-*.pth` | torchvision | zip of one pickle and raw tensors; kernels (out, in, height, width) |

Both are pickles, and a pickle can run any program. They are read here by an unpickler that knows
the few names such files need and refuses every other; torch is not needed. `convert_weights` writes
the five convolutions to a `.weights.h5`, which is data only.

Departures: Caffe's network was trained on blue-green-red images of 0 to 255 less their mean. Its
first kernel and bias are rewritten once, here, for this project's red-green-blue images less
ImageNet's mean, in units of ImageNet's deviation: conv1's outputs are then exactly Caffe's.
"""

import hashlib
import io
import os
import pickle
import tempfile
import zipfile
from collections import OrderedDict
from pathlib import Path

import h5py
import numpy as np

from ser_keras.errors import WeightsError
from ser_keras.layers.spectrogram_image import IMAGENET_MEAN, IMAGENET_STD
from ser_keras.models.alexnet_fcn import PLANS

MAX_FILE_BYTES = 1 << 30  # the published files have 244 MB
CAFFE_MEAN_BGR = (104.00698793, 116.66876762, 122.67891434)
TORCHVISION_NAMES = {
    "conv1": "features.0",
    "conv2": "features.3",
    "conv3": "features.6",
    "conv4": "features.8",
    "conv5": "features.10",
}
REMEDY = (
    "Give bvlc_alexnet.npy (the Caffe network as NumPy), torchvision's alexnet-owt-*.pth, or a "
    ".weights.h5 made from one of them."
)


def inspect_weights(path):
    """Returns the plan a weights file is for, reading and checking the whole file.

    Args:
        path: str or Path. A file of one of the three kinds.

    Returns:
        str. "bvlc" or "torchvision": the `plan` option of `alexnet_fcn`.

    Raises:
        WeightsError: the file is missing, of another kind, hostile or of other shapes.
    """
    return read_weights(path)[0]


def load_backbone(model, path):
    """Copies the convolutions of a weights file into `model`; the other layers stay as they are.

    Args:
        model: keras.Model of `alexnet_fcn`, of full width and three input channels.
        path: str or Path. A file of one of the three kinds.

    Returns:
        dict with "plan", "sha256" (of the file), "file" (its name) and "layers" (those loaded).

    Raises:
        WeightsError: the file cannot be used, or the model has another shape than it.
    """
    plan, sha256, weights = read_weights(path)
    for name, (kernel, bias) in weights.items():
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


def convert_weights(source, target):
    """Writes the convolutions of a downloaded file as one `.weights.h5`, made visible when whole.

    Args:
        source: str or Path. `bvlc_alexnet.npy` or `alexnet-owt-*.pth`.
        target: str or Path. Ends in `.weights.h5`.

    Returns:
        dict with "plan", "sha256" (of the source) and "file" (the target).

    Raises:
        WeightsError: the source cannot be used, or the target has another suffix.
    """
    target = Path(target)
    if not target.name.endswith(".weights.h5"):
        raise WeightsError(f"{target}: converted weights need a name ending in .weights.h5.")
    plan, sha256, weights = read_weights(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, suffix=".partial")
    os.close(descriptor)
    try:
        with h5py.File(temporary, "w") as file:
            file.attrs["plan"] = plan
            file.attrs["source_sha256"] = sha256
            for name, arrays in weights.items():
                for index, array in enumerate(arrays):
                    file[f"layers/{name}/vars/{index}"] = array
        os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return {"plan": plan, "sha256": sha256, "file": str(target)}


def read_weights(path):
    """Reads one weights file of any of the three kinds.

    Args:
        path: str or Path.

    Returns:
        tuple of plan, sha256 of the file, and dict of "conv1".."conv5" to [kernel, bias], float32;
        kernels are (height, width, channels / groups, filters) for ImageNet-standardised inputs.

    Raises:
        WeightsError: the file is missing, of another kind, hostile or of other shapes.
    """
    data = _read_bytes(Path(path))
    if data.startswith(b"\x93NUMPY"):
        plan, weights = "bvlc", _from_caffe(path, data)
    elif data.startswith(b"PK\x03\x04"):
        plan, weights = "torchvision", _from_torchvision(path, data)
    elif data.startswith(b"\x89HDF\r\n\x1a\n"):
        plan, weights = _from_converted(path, data)
    else:
        raise WeightsError(f"{path}: starts with {data[:8]!r}, which is no weights file. {REMEDY}")
    _check_weights(path, plan, weights)
    if plan == "bvlc" and data.startswith(b"\x93NUMPY"):
        weights["conv1"] = _for_standardized_rgb(*weights["conv1"])
    return plan, hashlib.sha256(data).hexdigest(), weights


def _read_bytes(path):
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file. {REMEDY}")
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise WeightsError(
            f"{path}: {size} bytes, expected at most {MAX_FILE_BYTES}. {REMEDY}"
        )
    return path.read_bytes()


def _check_weights(path, plan, weights):
    """Compares every array with the published size of its layer."""
    channels = len(IMAGENET_MEAN)
    for number, size in enumerate(PLANS[plan], start=1):
        name = f"conv{number}"
        expected = (
            (size.window, size.window, channels // size.groups, size.filters),
            (size.filters,),
        )
        found = tuple(np.shape(array) for array in weights[name])
        if found != expected:
            raise WeightsError(
                f"{path}: {name} has shapes {found}, expected {expected} for {plan}. {REMEDY}"
            )
        if not all(np.isfinite(array).all() for array in weights[name]):
            raise WeightsError(f"{path}: {name} holds values that are not finite. {REMEDY}")
        weights[name] = [np.ascontiguousarray(array, np.float32) for array in weights[name]]
        channels = size.filters


def _for_standardized_rgb(kernel, bias):
    """Rewrites Caffe's first layer, see Departures of the module."""
    std = np.array(IMAGENET_STD) * 255
    shift = np.array(IMAGENET_MEAN) * 255 - np.array(CAFFE_MEAN_BGR[::-1])
    rgb = kernel[:, :, ::-1].astype(np.float64)
    moved = bias + np.einsum("hwcf,c->f", rgb, shift)
    return [(rgb * std[:, None]).astype(np.float32), moved.astype(np.float32)]
