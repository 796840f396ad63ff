"""Pretrained weights: the entry of a model names the module that reads its files."""

import importlib
from pathlib import Path
from typing import Any, Protocol

import keras

from ser_keras.errors import ConfigError
from ser_keras.models import model_entry, models_with


class WeightsReader(Protocol):
    """The functions of a module that reads pretrained weights."""

    def weights_options(self, path: str | Path) -> dict[str, Any]:
        """Returns the options that a file decides for the models that it fits."""

    def load_weights(self, model: keras.Model, path: str | Path) -> dict[str, Any]:
        """Copies the weights of a file into a model; returns what was copied."""


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
    if not model_entry(name).pretrained:
        raise ConfigError(
            f"model.weights={path}: model {name} starts from random weights only, expected one of "
            f"{', '.join(models_with('pretrained'))}. Leave model.weights out."
        )
    return _reader(name).weights_options(path)


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
    return _reader(name).load_weights(model, path)


def _reader(name: str) -> WeightsReader:
    reader: Any = importlib.import_module(model_entry(name).pretrained)
    return reader
