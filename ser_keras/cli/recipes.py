"""The verb `recipes`: what each recipe of the project is for, and the text of one."""

from typing import Annotated

import typer

from ser_keras.cli.console import console
from ser_keras.cli.options import DEFAULT_RECIPE


def recipes(
    name: Annotated[
        str | None, typer.Argument(help="Name of a recipe, to print its file; all by default.")
    ] = None,
) -> None:
    """List the recipes: system, features, settings, and what each is for; or print one.

    A recipe is a YAML file with the model and every setting of its training. To write your own,
    print one into a file (ser recipes attention_cnn-speaker > mine.yaml), change it, and give it to
    --recipe.
    """
    from ser_keras.config import recipe_path

    if name is not None:
        console.print(recipe_path(name).read_text(encoding="utf-8"), end="")
        return
    for system, names in _by_system().items():
        _list(system, names)
    console.print(
        f"\n{DEFAULT_RECIPE} is the default. Recipes that end in -speaker are for small corpora "
        "and have two tracks: blind (nothing is known of a speaker who is tested) and adapted "
        "(recordings of the speaker, without labels, normalise the features). A recipe needs the "
        "features that it names: ser features --spec. A recipe in full: ser recipes NAME.",
        soft_wrap=False,
    )


def _by_system() -> dict[str, list[str]]:
    """Returns the names of the recipes by the model that they train."""
    from ser_keras.config import load_config, recipe_names

    systems: dict[str, list[str]] = {}
    for name in recipe_names():
        systems.setdefault(load_config(name).model.name, []).append(name)
    return systems


def _list(system: str, names: list[str]) -> None:
    """Prints a system and its recipes, with the features and the purpose of each."""
    from rich.padding import Padding

    from ser_keras.config import load_config, recipe_purpose
    from ser_keras.models import model_entry

    paper = model_entry(system).paper
    console.print(system, style="bold", end="")
    console.print(f", {paper}" if paper else ", of no paper")
    for name in names:
        config = load_config(name)
        settings = "the paper's settings" if config.settings == "paper" else "other settings"
        track = "blind and adapted" if config.track == "adapted" else "blind"
        default = " (default)" * (name == DEFAULT_RECIPE)
        console.print(f"  {name}{default}: {config.spec}, {settings}, {track}")
        text = Padding(f"{recipe_purpose(name)}.", (0, 0, 0, 6))
        console.print(text, style="dim", soft_wrap=False)
