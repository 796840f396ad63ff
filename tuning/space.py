"""What a search may change, and why: a recipe and a range for each of some of its keys."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import keras_tuner

from ser_keras.config import TrainConfig, load_config
from ser_keras.errors import ConfigError, unknown_name
from ser_keras.files import parse_yaml
from ser_keras.models import model_options


@dataclass(frozen=True)
class Setting:
    """One key of a recipe and the values that it may take.

    Args:
        key: str. Such as `optimizer.learning_rate`.
        why: str. Reason for the range.
        values: tuple. The choices; empty where it may be any number from `low` to `high`.
        low: float.
        high: float.
        log: bool. Whether equal ratios are equally likely, rather than equal differences.
    """

    key: str
    why: str
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False

    def declare(self, space: keras_tuner.HyperParameters, own: Any = None) -> None:
        """Adds the setting to keras-tuner's space, with the recipe's own value if it may be."""
        default = own if self.holds(own) else None
        if self.values:
            space.Choice(self.key, list(self.values), default=default)
            return
        scale = "log" if self.log else "linear"
        space.Float(self.key, self.low, self.high, sampling=scale, default=default)

    def holds(self, value: Any) -> bool:
        """Tells whether a value is one that this setting may have."""
        if self.values:
            return value in self.values
        return isinstance(value, int | float) and self.low <= value <= self.high

    def to_dict(self) -> dict[str, Any]:
        """Returns range and reason as plain values, as in the file of a space."""
        if self.values:
            return {"values": list(self.values), "why": self.why}
        return {"low": self.low, "high": self.high, "log": self.log, "why": self.why}

    def position(self, value: Any) -> float:
        """Returns where a value lies between the ends of the range, 0 to 1."""
        if self.values:
            return self.values.index(value) / max(1, len(self.values) - 1)
        ends = (self.low, self.high, value)
        low, high, value = map(math.log, ends) if self.log else ends
        return (value - low) / (high - low)


@dataclass(frozen=True)
class Space:
    """A recipe and the settings that a search varies.

    Args:
        recipe: str. Name or file.
        settings: tuple of Setting.
    """

    recipe: str
    settings: tuple[Setting, ...]

    def hyper_parameters(self, changes: Sequence[str] = ()) -> keras_tuner.HyperParameters:
        """Returns the space as keras-tuner has it; its defaults are the recipe's own values.

        Args:
            changes: `key=value`, of all trials.
        """
        declared = keras_tuner.HyperParameters()
        config = load_config(self.recipe, list(changes))
        for setting in self.settings:
            setting.declare(declared, _own_value(config, setting.key))
        return declared


def _own_value(config: TrainConfig, key: str) -> Any:
    """Returns a recipe's value of a key, or the model's default if the recipe has none."""
    value: Any = config.to_dict()
    value["model"]["options"] = model_options(config.model.name) | value["model"]["options"]
    for part in key.split("."):
        value = value[part] if isinstance(value, Mapping) and part in value else None
    return value


def space_names() -> list[str]:
    """Returns the systems that have a space."""
    folder = resources.files("tuning") / "spaces"
    return sorted(
        file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml")
    )


def load_space(name: str | Path) -> Space:
    """Returns the search space of a system, or of a YAML file of the same shape.

    Raises:
        ConfigError: unknown system, no such file, text that is not YAML, a key that the recipe does
            not have, or a range without meaning.

    Example:
        >>> space = load_space("moma")
        >>> space.recipe, space.settings[3].values
        ('moma-small', (1, 2, 3, 5))
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        if str(name) not in space_names():
            raise ConfigError(unknown_name("search space", str(name), space_names()))
        text = (resources.files("tuning") / "spaces" / f"{name}.yaml").read_bytes()
    elif path.is_file():
        text = path.read_bytes()
    else:
        raise ConfigError(f"search space {path}: found no file there; known: {space_names()}.")
    try:
        values = parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"search space {name}: not readable as YAML: {error}") from error
    if not isinstance(values, Mapping) or set(values) != {"recipe", "settings"}:
        raise ConfigError(f"search space {name}: expected the two keys recipe and settings.")
    settings = tuple(_setting(str(name), key, fields) for key, fields in values["settings"].items())
    for setting in settings:
        for value in setting.values or (setting.low, setting.high):
            load_config(values["recipe"], [f"{setting.key}={value}"])
    return Space(values["recipe"], settings)


def _setting(where: str, key: str, values: Any) -> Setting:
    where = f"search space {where}: {key}"
    if not isinstance(values, Mapping) or "why" not in values:
        raise ConfigError(f"{where}: expected values, or low and high, and why.")
    if set(values) == {"values", "why"} and isinstance(values["values"], list):
        if len(values["values"]) < 2:
            raise ConfigError(f"{where}: values={values['values']!r}; expected two or more.")
        return Setting(key, values["why"], tuple(values["values"]))
    if not {"low", "high"} <= set(values) <= {"low", "high", "log", "why"}:
        raise ConfigError(
            f"{where}: found {', '.join(values)}; expected values, or low, high and maybe log."
        )
    try:
        low, high = float(values["low"]), float(values["high"])
    except (TypeError, ValueError):
        raise ConfigError(f"{where}: low and high are numbers; found {dict(values)}.") from None
    log = bool(values.get("log", False))
    if not low < high or (log and low <= 0):
        raise ConfigError(
            f"{where}: low={low} and high={high}; expected low below high, and above 0 with log."
        )
    return Setting(key, values["why"], low=low, high=high, log=log)
