from dataclasses import replace

import pytest
import yaml

from ser_keras.config import load_config
from ser_keras.errors import ConfigError
from ser_keras.models import model_options
from tuning.space import Setting, load_space, space_names

GOOD = {"optimizer.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True, "why": "because"}}


def written(tmp_path, settings, recipe="demo"):
    path = tmp_path / "space.yaml"
    path.write_text(yaml.safe_dump({"recipe": recipe, "settings": settings}))
    return path


@pytest.mark.parametrize("name", space_names())
def test_every_space_fits_its_recipe_and_gives_a_reason_for_each_range(name):
    space = load_space(name)
    declared = space.hyper_parameters().values
    assert list(declared) == [setting.key for setting in space.settings]
    for setting in space.settings:
        assert len(setting.why) > 10
        assert 0 <= setting.position(declared[setting.key]) <= 1


@pytest.mark.parametrize("name", space_names())
def test_every_space_holds_its_recipe(name):
    space = load_space(name)
    own = space.hyper_parameters().values
    changes = [f"{key}={value}" for key, value in own.items()]
    config = load_config(space.recipe)
    trial = load_config(space.recipe, changes)
    options = model_options(config.model.name)
    assert options | trial.model.options == options | config.model.options
    assert replace(trial, model=config.model) == config


def test_a_change_of_all_trials_is_where_they_start(tmp_path):
    space = load_space(written(tmp_path, GOOD))
    changed = space.hyper_parameters(["optimizer.learning_rate=3e-4"])
    assert changed.values == {"optimizer.learning_rate": 3e-4}
    outside = space.hyper_parameters(["optimizer.learning_rate=1"])
    assert 1e-4 <= outside.values["optimizer.learning_rate"] <= 1e-2


def test_places_are_shares_of_the_range():
    assert Setting("k", "w", low=1e-4, high=1e-2, log=True).position(1e-3) == pytest.approx(0.5)
    assert Setting("k", "w", low=1.0, high=3.0).position(1.5) == 0.25
    assert [Setting("k", "w", ("a", "b", "c")).position(v) for v in "abc"] == [0, 0.5, 1]


def test_a_space_of_a_file_is_read(tmp_path):
    (setting,) = load_space(written(tmp_path, GOOD)).settings
    assert (setting.low, setting.high, setting.log) == (1e-4, 1e-2, True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer.learning_rat": GOOD["optimizer.learning_rate"]}, "learning_rate"),
        ({"epochs": {"values": [3], "why": "w"}}, "expected two or more"),
        ({"epochs": {"values": [3, 4]}}, "and why"),
        ({"epochs": {"low": 3, "why": "w"}}, "found low, why; expected values, or low, high"),
        ({"epochs": {"low": "a", "high": 2, "why": "w"}}, "are numbers"),
        ({"augment.noise": {"low": 2, "high": 1, "why": "w"}}, "expected low below high"),
        ({"augment.noise": {"low": 0, "high": 1, "log": True, "why": "w"}}, "above 0 with log"),
    ],
)
def test_ranges_without_meaning_are_refused(settings, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        load_space(written(tmp_path, settings))


def test_unknown_spaces_are_refused_with_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'moma'"):
        load_space("momma")
    with pytest.raises(ConfigError, match="found no file there"):
        load_space(tmp_path / "none.yaml")
    (tmp_path / "other.yaml").write_text("recipe: demo")
    with pytest.raises(ConfigError, match="the two keys recipe and settings"):
        load_space(tmp_path / "other.yaml")
