"""Features that a recipe is not made for: the advice leads on, and not to the next error."""

from dataclasses import replace

import pytest

from ser_keras.config import load_config
from ser_keras.errors import ConfigError
from ser_keras.experiments.crossval import check_spec
from ser_keras.features.specs import get_spec
from ser_keras.models import build_model
from ser_keras.training.fold_training import resolved_options


def features_of(feature_set, spec_name):
    """The features as if they were of another kind."""
    schema = replace(feature_set.schema, spec_name=spec_name, dim=get_spec(spec_name).dim)
    return replace(feature_set, schema=schema)


def advice_of(recipe, feature_set, spec_name):
    with pytest.raises(ConfigError) as refused:
        check_spec(load_config(recipe), features_of(feature_set, spec_name))
    return str(refused.value).rpartition(" ..., or ")[2]


def test_a_model_that_cannot_take_the_features_is_not_given_them(feature_set):
    advice = advice_of("alexnet_fcn", feature_set, "logmel40")
    assert advice == (
        "give a recipe for logmel40: attention_cnn-small; alexnet_fcn cannot take 40 values."
    )
    check_spec(load_config("attention_cnn-small"), features_of(feature_set, "logmel40"))


def test_without_a_recipe_for_the_features_none_is_named(feature_set):
    advice = advice_of("alexnet_fcn", feature_set, "mfcc40")
    assert advice.startswith("give another recipe; alexnet_fcn cannot take")


@pytest.mark.parametrize(
    ("recipe", "spec_name"), [("moma-small", "logmel40"), ("alexnet_fcn", "spectrogram400")]
)
def test_a_model_that_can_take_them_is_built_by_the_advice(feature_set, recipe, spec_name):
    assert advice_of(recipe, feature_set, spec_name) == f"pass --set spec={spec_name}."
    config = load_config(recipe, [f"spec={spec_name}"])
    features = features_of(feature_set, spec_name)
    check_spec(config, features)
    build_model(
        config.model.name, num_classes=4, dim=features.schema.dim, **resolved_options(config.model)
    )
