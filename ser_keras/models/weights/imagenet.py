"""What the readers of ImageNet weights share: files, datasets of HDF5, and the first convolution.

Networks in Caffe's tradition were trained on blue-green-red images of 0 to 255 less their mean.
This project's images are red-green-blue, in units of ImageNet's deviation. Their first kernel and
bias are therefore rewritten once, when a file is read; the convolution's outputs stay the same.
"""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from ser_keras.errors import WeightsError
from ser_keras.layers.spectrogram_image import IMAGENET_MEAN, IMAGENET_STD

MAX_FILE_BYTES = 1 << 30  # AlexNet has 244 MB, VGG-16 with its dense layers 553 MB


def read_bytes(path: Path, remedy: str) -> bytes:
    """Returns the content of a weights file.

    Args:
        path: Path.
        remedy: str. What the error says to do.

    Raises:
        WeightsError: no such file, or one larger than any published one.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file. {remedy}")
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise WeightsError(f"{path}: {size} bytes, expected at most {MAX_FILE_BYTES}. {remedy}")
    return path.read_bytes()


def h5_array(file: h5py.Group, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns a dataset of HDF5 after comparing its shape.

    Args:
        file: h5py.Group. What `name` is looked up in.
        name: str. Path inside of it.
        shape: tuple of int. The expected shape.

    Raises:
        WeightsError: there is no such dataset, its values lie in another file, or its shape is
            another.
    """
    dataset = file.get(name)
    # Checked before the values are read: a small file can promise a huge array.
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.shape != shape:
        shape_there = getattr(dataset, "shape", None)
        raise WeightsError(f"{name} has shape {shape_there}, expected {shape}")
    return dataset[()]


def for_standardized_rgb(
    kernel: np.ndarray, bias: np.ndarray, *, mean_bgr: Sequence[float]
) -> list[np.ndarray]:
    """Rewrites a first convolution for the images of `SpectrogramImage(imagenet=True)`.

    Args:
        kernel: float (height, width, 3, filters), for blue-green-red images of 0 to 255 less their
            mean.
        bias: float (filters,).
        mean_bgr: the three means that were taken from those images.

    Returns:
        [kernel, bias], float32, with the same outputs for red-green-blue images of 0 to 1 less
        ImageNet's mean, in units of its deviation.
    """
    std = np.array(IMAGENET_STD) * 255
    shift = np.array(IMAGENET_MEAN) * 255 - np.array(mean_bgr[::-1])
    rgb = kernel[:, :, ::-1].astype(np.float64)
    shifted = bias + np.einsum("hwcf,c->f", rgb, shift)
    return [(rgb * std[:, None]).astype(np.float32), shifted.astype(np.float32)]
