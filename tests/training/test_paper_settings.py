"""Recipes that claim their paper's settings, held against the papers."""

import re

import pytest
import yaml

from ser_keras.config import load_config, recipe_names, recipe_path
from ser_keras.models import model_options
from tests.training.paper_settings import NEUTRAL, PAPERS, SILENT

OPEN = "open in the paper"
# What makes a result reproducible, and what changes no training.
PLAIN = {"settings", "seed"}
RECIPES = [name for name in recipe_names() if load_config(name).settings == "paper"]


def flat(values, prefix=""):
    """Returns {"section.key": value} of nested mappings."""
    leaves = {}
    for key, value in values.items():
        if isinstance(value, dict):
            leaves |= flat(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def comments(text):
    """Returns {"section.key": comment} of a recipe's lines."""
    path, lines = [], {}
    for line in text.splitlines():
        if match := re.match(r"( *)(\w+):", line):
            path = [*path[: len(match[1]) // 2], match[2]]
            lines[".".join(path)] = line.partition("#")[2].strip()
    return lines


def resolved(recipe):
    return flat(load_config(recipe).to_dict())


def test_every_recipe_of_a_paper_has_its_table():
    assert set(RECIPES) == set(PAPERS)


@pytest.mark.parametrize(
    ("recipe", "setting"),
    [(recipe, setting) for recipe in RECIPES for setting in PAPERS.get(recipe, ())],
    ids=lambda value: value if isinstance(value, str) else value.key,
)
def test_a_recipe_says_what_its_paper_says(recipe, setting):
    where = f"{recipe}: Sec. {setting.section}: {setting.sentence!r}"
    # In the recipe itself, not by a default that may change.
    stated = flat(yaml.safe_load(recipe_path(recipe).read_text()))
    assert setting.key in stated, where
    assert resolved(recipe)[setting.key] == setting.value, where


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_a_paper_does_not_name_does_nothing(recipe):
    named = {setting.key for setting in PAPERS[recipe]}
    values = resolved(recipe)
    changed = {
        key: values[key]
        for key, neutral in (NEUTRAL | SILENT).items()
        if key not in named and values[key] != neutral
    }
    assert not changed, f"{recipe}: not in the paper"
    stated = flat(yaml.safe_load(recipe_path(recipe).read_text()))
    assert set(NEUTRAL) <= set(stated), f"{recipe}: leaves to defaults what changes training"


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_a_paper_leaves_open_is_marked(recipe):
    text = recipe_path(recipe).read_text()
    beside = comments(text)
    named = {setting.key for setting in PAPERS[recipe]}
    unmarked = [
        key
        for key in flat(yaml.safe_load(text))
        if key not in named | PLAIN | set(NEUTRAL) and OPEN not in beside[key]
    ]
    assert not unmarked, f"{recipe}: neither in the paper's table nor marked {OPEN!r}"
    contradictory = [key for key in named if OPEN in beside.get(key, "")]
    assert not contradictory, f"{recipe}: marked open, but the paper's table has it"


@pytest.mark.parametrize("recipe", RECIPES)
def test_regularisation_of_a_model_is_the_papers(recipe):
    """Dropout and input noise are off but where the paper, or the network it names, has them."""
    named = {setting.key.rpartition(".")[2] for setting in PAPERS[recipe]}
    config = load_config(recipe)
    options = model_options(config.model.name) | config.model.options
    used = {key for key in options if key.endswith("dropout") or key == "noise"}
    # AlexNet's and VGG's dense layers bring theirs.
    own = {"dropout"} if config.model.name.endswith("_fixed") else set()
    assert {key for key in used - named - own if options[key]} == set()
