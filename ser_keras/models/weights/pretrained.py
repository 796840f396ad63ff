"""Which weights files fit which models, and how they get into them."""

from pathlib import Path
from typing import Any

import h5py
import keras

from ser_keras.errors import ConfigError, WeightsError
from ser_keras.models.weights.alexnet import inspect_weights, load_backbone
from ser_keras.models.weights.vgg import H5_START, load_vgg, read_vgg_weights

ALEXNETS = ("alexnet_fcn", "alexnet_fixed")
VGGS = ("vgg16_fixed",)


def models_for(path: str | Path) -> tuple[str, ...]:
    """Returns the models that a weights file is for, after reading and checking it whole.

    Args:
        path: str or Path. A file of AlexNet or of VGG-16.

    Raises:
        WeightsError: the file is missing, of another kind, hostile or of other shapes.
    """
    if _is_vgg(Path(path)):
        read_vgg_weights(path)
        return VGGS
    inspect_weights(path)
    return ALEXNETS


def weights_options(name: str, path: str | Path) -> dict[str, Any]:
    """Returns the options that a weights file decides for the model called `name`.

    Args:
        name: str. A model of `ser_keras.models`.
        path: str or Path.

    Returns:
        dict: {"plan": ...} for an AlexNet, of which there are two; empty for VGG-16.

    Raises:
        ConfigError: the model does not start from pretrained weights.
        WeightsError: the file is not one for this model.
    """
    if name in VGGS:
        read_vgg_weights(path)
        return {}
    if name in ALEXNETS:
        return {"plan": inspect_weights(path)}
    raise ConfigError(
        f"model.weights={path}: model {name} starts from random weights only, expected one of "
        f"{', '.join((*ALEXNETS, *VGGS))}. Leave model.weights out."
    )


def load_pretrained(name: str, model: keras.Model, path: str | Path) -> dict[str, Any]:
    """Copies the convolutions of a weights file into a model built with `weights_options`.

    Args:
        name: str. The model's name in `ser_keras.models`.
        model: keras.Model of that name.
        path: str or Path.

    Returns:
        dict with "plan", "sha256" (of the file), "file" (its name) and "layers" (those loaded).

    Raises:
        WeightsError: the file cannot be used, or the model has another shape than it.
    """
    return load_vgg(model, path) if name in VGGS else load_backbone(model, path)


def _is_vgg(path: Path) -> bool:
    """Whether a file is HDF5 and not one that `convert_weights` made of an AlexNet."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        if stream.read(len(H5_START)) != H5_START:
            return False
    try:
        with h5py.File(path, "r") as file:
            return "plan" not in file.attrs
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be read as HDF5 ({error}). Give a whole file."
        ) from None
