"""The models by name: what is known of each before it is imported, and the one way to build it."""

import importlib
import inspect
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ser_keras.errors import ConfigError, SchemaError, unknown_name

# keras.Model. Keras is not imported here, so that names and entries are read without it.
Model = Any


@dataclass(frozen=True)
class RegisteredModel:
    """What the project knows of a model without importing it.

    Args:
        builder: str. `module:function`, which builds the model.
        maps: tuple of str. Outputs that an explanation shows, beside the features.
        objective: str. `module:function`, what training minimises; empty for cross-entropy.
        takes_unlabelled: bool. Whether the objective has a class for utterances without a label.
            Where it has none, such an utterance would be a target of zeros, which label smoothing
            turns into an even one.
        streams: bool. Whether the model answers after every step of a stream without an end.
        pretrained: str. Module that reads pretrained weights; empty where training always starts
            from random ones.
        baseline: bool. Whether the model only stands beside the systems of the papers.
        paper: str. Authors and year of the paper that describes it; empty where none does.
    """

    builder: str
    maps: tuple[str, ...] = ()
    objective: str = ""
    takes_unlabelled: bool = False
    streams: bool = False
    pretrained: str = ""
    baseline: bool = False
    paper: str = ""


# Imported by the names in an entry, so that a program which trains one model imports one model.
MODELS: dict[str, RegisteredModel] = {
    "alexnet_fcn": RegisteredModel(
        "ser_keras.models.alexnet_fcn:build_alexnet_fcn",
        maps=("attention",),
        pretrained="ser_keras.models.weights.alexnet",
        paper="Zhang et al. 2018",
    ),
    "alexnet_fixed": RegisteredModel(
        "ser_keras.models.baselines.alexnet_fixed:build_alexnet_fixed",
        pretrained="ser_keras.models.weights.alexnet",
        baseline=True,
        paper="Zhang et al. 2018",
    ),
    "attention_cnn": RegisteredModel(
        "ser_keras.models.attention_cnn:build_attention_cnn",
        maps=("attention", "top_down"),
        paper="Li et al. 2018",
    ),
    "filter_study": RegisteredModel(
        "ser_keras.models.filter_study:build_filter_study",
        maps=("attention",),
        baseline=True,
        paper="Li et al. 2018",
    ),
    "functional_network": RegisteredModel(
        "ser_keras.models.baselines.functional_network:build_functional_network",
        baseline=True,
    ),
    "moma": RegisteredModel(
        "ser_keras.models.moma:build_moma",
        maps=("attention", "attention_layer1", "attention_blocks", "gamma"),
        paper="Jalal et al. 2020",
    ),
    "predictive_vrnn": RegisteredModel(
        "ser_keras.models.predictive_vrnn:build_predictive_vrnn",
        maps=("attention", "step_logits", "prediction_mean", "normalized"),
        objective="ser_keras.models.predictive_vrnn:predictive_vrnn_objective",
        streams=True,
        paper="Baruah and Banerjee 2022",
    ),
    "sparse_autoencoder": RegisteredModel(
        "ser_keras.models.sparse_autoencoder:build_sparse_autoencoder",
        maps=("attention", "normalized"),
        objective="ser_keras.models.sparse_autoencoder:sparse_autoencoder_objective",
        takes_unlabelled=True,
        paper="Sun and Wu 2019",
    ),
    "vgg16_fixed": RegisteredModel(
        "ser_keras.models.baselines.vgg16_fixed:build_vgg16_fixed",
        pretrained="ser_keras.models.weights.vgg",
        baseline=True,
        paper="Zhang et al. 2018",
    ),
}


def model_entry(name: str) -> RegisteredModel:
    """Returns what is known of the model called `name`.

    Raises:
        ConfigError: no such model; the nearest names are suggested.

    Example:
        >>> model_entry("predictive_vrnn").streams
        True
    """
    if name not in MODELS:
        raise ConfigError(unknown_name("model", name, MODELS))
    return MODELS[name]


def model_builder(name: str) -> Callable[..., Model]:
    """Returns the function that builds the model called `name`.

    Raises:
        ConfigError: no such model; the nearest names are suggested.
    """
    return _function(model_entry(name).builder)


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
    options = _keyword_defaults(model_builder(name))
    options.pop("name")
    return options


def build_model(name: str, *, num_classes: int, dim: int, **options: Any) -> Model:
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
    return model_builder(name)(num_classes=num_classes, dim=dim, **options)


def load_model(path: Any, name: str) -> Model:
    """Returns the model called `name` from a file that training saved.

    Args:
        path: Path. A `.keras` file.
        name: str. A key of `MODELS`. Its module is imported first: it registers the layers that the
            file names.

    Raises:
        ConfigError: no such model; the nearest names are suggested.
        SchemaError: the file is missing, empty or damaged.
    """
    import keras

    model_builder(name)
    try:
        return keras.models.load_model(path)
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        reason = str(error).strip().partition("\n")[0]
        raise SchemaError(
            f"{path}: cannot be loaded as a model ({reason}), expected the {name} of a fold. "
            "Remove the folder that holds it and give the command of the run again: only this fold "
            "is made anew."
        ) from error


def objective_of(name: str) -> Callable[..., dict[str, Any]]:
    """Returns what the model called `name` is trained for, see `ser_keras.models.objectives`."""
    from ser_keras.models.objectives import cross_entropy_objective

    objective = model_entry(name).objective
    return _function(objective) if objective else cross_entropy_objective


def objective_options(name: str) -> dict[str, Any]:
    """Returns the options of the objective of the model called `name` with their defaults.

    Label smoothing is not among them: it belongs to the optimizer's section of a recipe.

    Example:
        >>> objective_options("predictive_vrnn")["classification_weight"]
        50.0
    """
    options = _keyword_defaults(objective_of(name))
    options.pop("label_smoothing")
    return options


def check_objective(name: str, options: Mapping[str, Any]) -> None:
    """Checks the options of what the model called `name` is trained for.

    Raises:
        ConfigError: no such option, or text in the place of a number or the reverse.

    Example:
        >>> check_objective("predictive_vrnn", {"label_time": "end", "kl_weight": 0.5})
    """
    known = objective_options(name)
    for option, value in options.items():
        if option not in known:
            raise ConfigError(unknown_name(f"option of {name}'s objective", option, known))
        if isinstance(value, str) != isinstance(known[option], str):
            expected = "a word" if isinstance(known[option], str) else "a number"
            raise ConfigError(f"config: objective.{option}: found {value!r}, expected {expected}.")


def models_with(field: str) -> list[str]:
    """Returns the names of the models whose entry has a true value in `field`.

    Example:
        >>> models_with("takes_unlabelled")
        ['sparse_autoencoder']
    """
    return [name for name, entry in MODELS.items() if getattr(entry, field)]


def _function(reference: str) -> Callable[..., Any]:
    module, _, name = reference.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def _keyword_defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """Returns the keyword-only arguments of a function with their defaults."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
