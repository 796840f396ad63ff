import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ser_keras.config import (
    TrainConfig,
    config_from_dict,
    load_config,
    recipe_names,
)
from ser_keras.errors import ConfigError


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads_and_survives_yaml(name):
    config = load_config(name)
    again = config_from_dict(yaml.safe_load(yaml.safe_dump(config.to_dict())))
    assert again == config
    assert again.sha256 == config.sha256


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"epoch": 3}, "config: unknown key 'epoch'; did you mean 'epochs'"),
        ({"batch": {"sise": 3}}, "config.batch: unknown key 'sise'; did you mean 'size'"),
        ({"epochs": "many"}, "config.epochs: found 'many', expected a valid integer"),
        ({"epochs": True}, "config.epochs: found True"),
        ({"seed": 1.0}, "config.seed: found 1.0, expected a valid integer"),
        ({"jit_compile": 1}, "config.jit_compile: found 1, expected a valid boolean"),
        ({"optimizer": {"ema": True}}, "config.optimizer.ema: found True, expected a valid number"),
        ({"objective": {"kl_weight": True}}, "found True, expected a number or text"),
        ({"unlabelled": {"label_fraction": 2}}, "label_fraction: found 2, expected at most 1"),
        ({1: 2}, "config: found 1, expected a key that is text"),
        ({"epochs": 0}, "config.epochs: found 0, expected at least 1"),
        ({"objective": {"kl_weight": [1]}}, "config.objective.kl_weight: found [1]"),
        ({"batch": 3}, "config.batch: found 3, expected a mapping"),
        ({"select": "test"}, "config.select: unknown value 'test'"),
        ({"optimizer": {"schedule": "cosin"}}, "did you mean 'cosine'"),
        ({"optimizer": {"milestones": [3, "ten"]}}, "config.optimizer.milestones[1]: found 'ten'"),
        (
            {"optimizer": {"learning_rate": 0}},
            "learning_rate: found 0, expected more than 0",
        ),
        (
            {"optimizer": {"backbone_learning_rate": -1}},
            "backbone_learning_rate: found -1",
        ),
        (
            {"batch": {"segment_frames": 100, "segment_hop": 50, "test_hop": 150}},
            "config.batch: test_hop is 150, more than segment_frames (100)",
        ),
    ],
)
def test_wrong_values_are_refused_with_place_and_remedy(values, sentence):
    with pytest.raises(ConfigError) as error:
        config_from_dict(values)
    assert sentence in str(error.value)


def test_yaml_floats_without_a_dot_are_floats():
    assert load_config("demo", ["optimizer.learning_rate=1e-3"]).optimizer.learning_rate == 1e-3


def test_overrides_reach_new_and_old_sections():
    config = load_config("demo", ["epochs=2", "augment.noise=0.5", "model.options.width=0.5"])
    assert (config.epochs, config.augment.noise) == (2, 0.5)
    assert config.model.options["width"] == 0.5
    assert config.model.options["normalization"] == "batch"


@pytest.mark.parametrize("assignment", ["epochs", "epochs.more=3"])
def test_a_malformed_override_names_itself(assignment):
    with pytest.raises(ConfigError, match=f"--set {assignment}"):
        load_config("demo", [assignment])


def test_an_unknown_recipe_suggests_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'demo'"):
        load_config("demoo")


def test_a_missing_recipe_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"mine\.yaml: found no file"):
        load_config(tmp_path / "mine.yaml")


def test_text_that_is_not_yaml_is_refused(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("epochs: [1, 2")
    with pytest.raises(ConfigError, match="not readable as YAML"):
        load_config(path)


@given(epochs=st.integers(1, 500), seed=st.integers(0, 2**31), noise=st.floats(0, 10))
def test_the_hash_tells_configurations_apart(epochs, seed, noise):
    config = config_from_dict({"epochs": epochs, "seed": seed, "augment": {"noise": noise}})
    assert (config.sha256 == TrainConfig().sha256) == (config == TrainConfig())
