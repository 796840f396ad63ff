"""ImageNet weights for `vgg16_fixed`, from the HDF5 files of `keras.applications.VGG16`.

| file | holds a convolution in |
|---|---|
| `vgg16_weights_tf_dim_ordering_tf_kernels[_notop].h5` | a group of its name, naming its weights |
| `.weights.h5`, as Keras 3 saves that model | `layers/conv2d_<n>/vars` |

HDF5 is data only. Nothing is downloaded; the file is given by its path.

Departures: the network was trained on blue-green-red images of 0 to 255 less their mean. Its first
kernel and bias are rewritten when they are read, see `imagenet.for_standardized_rgb`. Beyond the
image's edge something is left: the zeros there stand for ImageNet's mean in this project and
for the network's own mean in its training, which differ by half a grey level of 255.
"""

import hashlib
import io
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from ser_keras.errors import WeightsError
from ser_keras.models.weights.imagenet import for_standardized_rgb, h5_array, read_bytes

Weights = dict[str, list[np.ndarray]]

# Of `keras.applications.imagenet_utils.preprocess_input(mode="caffe")`.
VGG_MEAN_BGR = (103.939, 116.779, 123.68)
# Convolutions and filters of each block: Simonyan and Zisserman 2015, Table 1, column D.
BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
WINDOW, CHANNELS = 3, 3
H5_START = b"\x89HDF\r\n\x1a\n"
VGG_REMEDY = (
    "Give vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5 of keras.applications, or the same "
    "network with its dense layers."
)


def convolution_shapes() -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Returns the published (kernel shape, bias shape) of each convolution, in their order.

    Example:
        >>> shapes = convolution_shapes()
        >>> len(shapes), shapes["block2_conv1"]
        (13, ((3, 3, 64, 128), (128,)))
    """
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
    channels = CHANNELS
    for block, (count, filters) in enumerate(BLOCKS, start=1):
        for number in range(1, count + 1):
            kernel = (WINDOW, WINDOW, channels, filters)
            shapes[f"block{block}_conv{number}"] = (kernel, (filters,))
            channels = filters
    return shapes


def read_vgg_weights(path: str | Path) -> tuple[str, Weights]:
    """Reads and checks a whole file.

    Args:
        path: str or Path.

    Returns:
        tuple of sha256 of the file, and dict of "block1_conv1".."block5_conv3" to [kernel, bias],
        float32, for ImageNet-standardised red-green-blue inputs.

    Raises:
        WeightsError: the file is missing, of another kind or of other shapes.
    """
    data = read_bytes(Path(path), VGG_REMEDY)
    try:
        if not data.startswith(H5_START):
            raise WeightsError(f"starts with {data[:8]!r}, expected an HDF5 file for VGG-16")
        with h5py.File(io.BytesIO(data), "r") as file:
            weights = _checked(file)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}. {VGG_REMEDY}") from error
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path}: cannot be read as HDF5 ({error}). {VGG_REMEDY}") from error
    weights["block1_conv1"] = for_standardized_rgb(*weights["block1_conv1"], mean_bgr=VGG_MEAN_BGR)
    return hashlib.sha256(data).hexdigest(), weights


def weights_options(path: str | Path) -> dict[str, Any]:
    """Returns the options that a weights file decides: none, since there is one VGG-16.

    Raises:
        WeightsError: as `read_vgg_weights` does.
    """
    read_vgg_weights(path)
    return {}


def load_weights(model: keras.Model, path: str | Path) -> dict[str, Any]:
    """Copies the convolutions of a file into `model`; its dense layers stay as they are.

    Args:
        model: keras.Model of `vgg16_fixed`.
        path: str or Path.

    Returns:
        dict with "plan" ("vgg16"), "sha256" (of the file), "file" (its name) and "layers" (those
        loaded).

    Raises:
        WeightsError: the file cannot be used.
    """
    sha256, weights = read_vgg_weights(path)
    for name, arrays in weights.items():
        model.get_layer(name).set_weights(arrays)
    return {"plan": "vgg16", "sha256": sha256, "file": Path(path).name, "layers": list(weights)}


def _checked(file: h5py.File) -> Weights:
    root = file.get("model_weights", file)
    weights = {}
    for number, (name, shapes) in enumerate(convolution_shapes().items()):
        group, keys = _stored_weights(root, name, number)
        if len(keys) != len(shapes):
            raise WeightsError(f"{name} has {len(keys)} weights, expected kernel and bias")
        arrays = [h5_array(group, key, shape) for key, shape in zip(keys, shapes, strict=True)]
        if not all(np.isfinite(array).all() for array in arrays):
            raise WeightsError(f"{name} holds values that are not finite")
        weights[name] = [np.ascontiguousarray(array, np.float32) for array in arrays]
    return weights


def _stored_weights(root: h5py.Group, name: str, number: int) -> tuple[h5py.Group, list[str]]:
    """Returns the group of a convolution and the names of its weights inside of it."""
    if isinstance(group := root.get(name), h5py.Group):
        keys = group.attrs.get("weight_names", ())
        return group, [key.decode() if isinstance(key, bytes) else str(key) for key in keys]
    saved = f"layers/conv2d{f'_{number}' if number else ''}/vars"
    if isinstance(group := root.get(saved), h5py.Group):
        return group, ["0", "1"]
    raise WeightsError(f"has no convolution {name}, neither under its name nor in {saved}")
