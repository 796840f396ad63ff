"""The models by name: one table, one way to build them, one way to count their work."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import keras

from ser_keras.errors import ConfigError, unknown_name
from ser_keras.models.alexnet_fcn import build_alexnet_fcn
from ser_keras.models.attention_cnn import build_attention_cnn
from ser_keras.models.baselines import build_alexnet_fixed, build_vgg16_fixed
from ser_keras.models.filter_study import build_filter_study
from ser_keras.models.moma import build_moma
from ser_keras.models.objectives import cross_entropy_objective
from ser_keras.models.predictive_vrnn import build_predictive_vrnn, predictive_vrnn_objective
from ser_keras.models.sparse_autoencoder import (
    build_sparse_autoencoder,
    sparse_autoencoder_objective,
)

MODELS: dict[str, Callable[..., keras.Model]] = {
    "alexnet_fcn": build_alexnet_fcn,
    "alexnet_fixed": build_alexnet_fixed,
    "attention_cnn": build_attention_cnn,
    "filter_study": build_filter_study,
    "moma": build_moma,
    "predictive_vrnn": build_predictive_vrnn,
    "sparse_autoencoder": build_sparse_autoencoder,
    "vgg16_fixed": build_vgg16_fixed,
}
# Models that are trained for more than cross-entropy.
OBJECTIVES: dict[str, Callable[..., dict[str, Any]]] = {
    "predictive_vrnn": predictive_vrnn_objective,
    "sparse_autoencoder": sparse_autoencoder_objective,
}
# Models whose objective has a class for utterances without a label. The others learn from labels
# alone: an utterance without one would be a target of zeros, which label smoothing turns into an
# even one.
TAKES_UNLABELLED = frozenset({"sparse_autoencoder"})


def model_options(name: str) -> dict[str, Any]:
    """Returns the options of the model called `name` with their defaults.

    Args:
        name: str. A key of `MODELS`.

    Returns:
        dict of option name to default value.

    Raises:
        ConfigError: no such model; the nearest names are suggested.

    Example:
        >>> model_options("alexnet_fcn")["attention_lambda"]
        0.3
    """
    if name not in MODELS:
        raise ConfigError(unknown_name("model", name, MODELS))
    parameters = inspect.signature(MODELS[name]).parameters.values()
    return {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name != "name"
    }


def build_model(name: str, *, num_classes: int, dim: int, **options: Any) -> keras.Model:
    """Returns the model called `name` with random weights.

    Args:
        name: str. A key of `MODELS`.
        num_classes: int. Output units.
        dim: int. Values per frame of the features.
        **options: Of that model, see `model_options`.

    Returns:
        keras.Model from {"features": (batch, frames, dim), "mask": (batch, frames)} to
        {"logits": (batch, num_classes), ...}.

    Raises:
        ConfigError: no such model or option; the nearest names are suggested.

    Example:
        >>> build_model("alexnet_fcn", num_classes=4, dim=200, width=0.1).name
        'alexnet_fcn'
    """
    known = model_options(name)
    for option in options:
        if option not in known:
            raise ConfigError(unknown_name(f"option of model {name}", option, known))
    return MODELS[name](num_classes=num_classes, dim=dim, **options)


def objective_of(name: str) -> Callable[..., dict[str, Any]]:
    """Returns what the model called `name` is trained for, see `ser_keras.models.objectives`."""
    return OBJECTIVES.get(name, cross_entropy_objective)


def check_objective(name: str, options: Mapping[str, Any]) -> None:
    """Checks the options of what the model called `name` is trained for.

    Raises:
        ConfigError: no such option, or text in the place of a number or the reverse.

    Example:
        >>> check_objective("predictive_vrnn", {"label_time": "end", "kl_weight": 0.5})
    """
    parameters = inspect.signature(objective_of(name)).parameters.values()
    known = {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    known.pop("label_smoothing")
    for option, value in options.items():
        if option not in known:
            raise ConfigError(unknown_name(f"option of {name}'s objective", option, known))
        if isinstance(value, str) != isinstance(known[option], str):
            expected = "a word" if isinstance(known[option], str) else "a number"
            raise ConfigError(f"config: objective.{option}: found {value!r}, expected {expected}.")


def multiply_accumulates(model: keras.Model, frames: int) -> int:
    """Returns the multiply-accumulate operations of one utterance through `model`.

    Counted from the shapes: every value of a kernel is used once per position of the layer's
    output. Biases, normalisation and pooling are not counted, as is the custom.

    Args:
        model: keras.Model of this package.
        frames: int. Length of the utterance.

    Returns:
        int.

    Example:
        >>> model = build_model("alexnet_fcn", num_classes=4, dim=200)
        >>> round(multiply_accumulates(model, frames=300) / 1e6)
        751
    """
    counted = {layer.name: layer for layer in model.layers if _counts(layer)}
    outputs = keras.Model(model.inputs, {name: layer.output for name, layer in counted.items()})
    shapes = outputs.compute_output_shape([(1, frames, model.inputs[0].shape[-1]), (1, frames)])
    return sum(_work(layer, shapes[name]) for name, layer in counted.items())


def _counts(layer: keras.layers.Layer) -> bool:
    known = isinstance(layer, keras.layers.Conv1D | keras.layers.Conv2D | keras.layers.Dense)
    return known or hasattr(layer, "multiply_accumulates")


def _work(layer: keras.layers.Layer, output_shape: tuple) -> int:
    if hasattr(layer, "multiply_accumulates"):
        return layer.multiply_accumulates(output_shape)
    return math.prod(layer.kernel.shape) * math.prod(output_shape[1:-1])
