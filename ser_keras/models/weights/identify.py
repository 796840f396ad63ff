"""Which models a weights file is for."""

from pathlib import Path

import h5py

from ser_keras.errors import WeightsError
from ser_keras.models import MODELS
from ser_keras.models.weights import alexnet, vgg


def models_for(path: str | Path) -> tuple[str, ...]:
    """Returns the models that a weights file is for, after reading and checking it whole.

    Args:
        path: str or Path. A file of AlexNet or of VGG-16.

    Raises:
        WeightsError: the file is missing, of another kind, hostile or of other shapes.
    """
    reader = vgg if _is_vgg(Path(path)) else alexnet
    reader.weights_options(path)
    return tuple(name for name, entry in MODELS.items() if entry.pretrained == reader.__name__)


def _is_vgg(path: Path) -> bool:
    """Whether a file is HDF5 and not one that `convert_weights` made of an AlexNet."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        if stream.read(len(vgg.H5_START)) != vgg.H5_START:
            return False
    try:
        with h5py.File(path, "r") as file:
            return "plan" not in file.attrs
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be read as HDF5 ({error}). Give a whole file."
        ) from None
