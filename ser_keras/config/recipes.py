"""Recipes: the settings of a training run as YAML files, with the changes that a user asks for."""

import re
from importlib import resources
from pathlib import Path
from typing import Any

from ser_keras.config.sections import TrainConfig
from ser_keras.errors import ConfigError, SchemaError, unknown_name
from ser_keras.files import parse_yaml
from ser_keras.settings import settings_from


def config_from_dict(values: dict[str, Any], where: str = "config") -> TrainConfig:
    """Returns the configuration of plain values.

    Raises:
        ConfigError: an unknown key (the nearest valid one is named) or a value of a wrong type.

    Example:
        >>> config_from_dict({"epochs": 3, "batch": {"size": 8}}).batch.size
        8
    """
    return settings_from(TrainConfig, values, where)


def recipe_names() -> list[str]:
    """Returns the names of the recipes that come with the project."""
    folder = resources.files("ser_keras") / "recipes"
    return sorted(
        f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")
    )


def load_config(recipe: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> TrainConfig:
    """Returns the configuration of a recipe, with `key.key=value` overrides applied.

    Args:
        recipe: name of a recipe of the project, or path of a YAML file.
        overrides: assignments such as `"optimizer.learning_rate=1e-4"`; values are read as YAML.

    Raises:
        ConfigError: unknown recipe or key, or text that is not YAML.
        SchemaError: the file is empty.
    """
    text = recipe_path(recipe).read_bytes()
    if not text.strip():
        # All keys would be those by default, with another model than the recipe's.
        raise SchemaError(
            f"{recipe}: is empty, expected a recipe. If `ser tune` wrote it, give its command "
            "again: finished trials are kept."
        )
    try:
        values = parse_yaml(text) or {}
    except ValueError as error:
        raise ConfigError(f"{recipe}: not readable as YAML: {error}") from error
    for assignment in overrides:
        _apply(values, assignment)
    return config_from_dict(values, where=str(recipe))


def recipe_path(recipe: str | Path) -> Path:
    """Returns the file of a recipe.

    Args:
        recipe: name of a recipe of the project, or path of a YAML file.

    Raises:
        ConfigError: no such recipe or file.
    """
    path = Path(recipe)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise ConfigError(f"recipe {path}: found no file there; known: {recipe_names()}.")
        return path
    if str(recipe) not in recipe_names():
        raise ConfigError(unknown_name("recipe", str(recipe), recipe_names()))
    return Path(str(resources.files("ser_keras") / "recipes" / f"{recipe}.yaml"))


def recipe_purpose(recipe: str | Path) -> str:
    """Returns what a recipe is for: the first sentence of its file, without the full stop.

    Raises:
        ConfigError: no such recipe or file.

    Example:
        >>> recipe_purpose("moma")
        "MOMA with its paper's settings"
    """
    head = recipe_path(recipe).read_text(encoding="utf-8", errors="replace").partition("\nspec:")[0]
    text = " ".join(line.lstrip("# ") for line in head.splitlines())
    # The rest of a recipe's head says how it was chosen. "Sec. 3.2" ends no sentence.
    return re.split(r"\.(?: (?=[A-Z])|$)", text, maxsplit=1)[0]


def _apply(values: dict[str, Any], assignment: str) -> None:
    key, equals, text = assignment.partition("=")
    if not equals:
        raise ConfigError(f"--set {assignment}: expected KEY=VALUE, such as epochs=20.")
    *parents, last = key.strip().split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise ConfigError(f"--set {assignment}: {parent} is a value, not a section.")
    try:
        values[last] = parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"--set {assignment}: not readable as YAML: {error}") from None
