import json

import numpy as np
import pytest

from ser_keras.config import config_from_dict
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError
from ser_keras.experiments.crossval import run_crossval
from ser_keras.models import build_model
from ser_keras.protocols import build_protocol
from ser_keras.report.results_folder import ablation_path, read_results
from ser_keras.report.sections import sections_of
from tests.adaptation.test_tracks import RECIPE
from tests.small_features import write_features
from tuning import ablation as ablations
from tuning.ablation import AS_IT_IS, Ablation, ablation_names, load_ablation, run_ablation


@pytest.mark.parametrize("name", ablation_names())
def test_every_lever_makes_a_model(name):
    ablation = load_ablation(name)
    assert len(ablation.levers) > 3
    for changes in ablation.levers.values():
        config = ablations._config(ablation.recipe, changes, ())
        build_model(config.model.name, num_classes=4, dim=75, **config.model.options)


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(ConfigError, match="averaged weights"):
        load_ablation("speaker", only=["average weights"])
    with pytest.raises(ConfigError, match="speaker"):
        load_ablation("speakers")


@pytest.fixture(scope="module")
def feature_set(tmp_path_factory):
    return FeatureSet.open(write_features(tmp_path_factory.mktemp("ablated"), "mel64-prosody", 2))


@pytest.fixture
def recipe(tmp_path):
    import yaml

    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    return str(path)


@pytest.mark.slow
def test_each_lever_is_compared_with_the_recipe_on_the_same_speakers(feature_set, recipe, tmp_path):
    protocol = build_protocol("synthetic-loso", feature_set.rows)
    folds = [fold.name for fold in protocol.folds[:2]]
    levers = {
        "half the rate": {"optimizer.learning_rate": 1e-3},
        "blind alone": {"adaptation.blind_share": 1.0},
        "joint corpora": {"adaptation.joint_share": 0.3},
    }
    result = run_ablation(
        Ablation("tiny", recipe, levers), feature_set, protocol, tmp_path / "out", folds=folds
    )
    rows = {row["lever"]: row["tracks"] for row in result["levers"]}
    # No joint set was given.
    assert list(rows) == [AS_IT_IS, "half the rate", "blind alone"]
    assert set(rows["blind alone"]) == {"blind"}
    assert rows[AS_IT_IS]["adapted"]["difference"] == [0.0, 0.0, 0.0]

    config = config_from_dict(RECIPE | {"optimizer": RECIPE["optimizer"] | {"learning_rate": 1e-3}})
    run_crossval({"tiny": config}, feature_set, protocol, tmp_path / "alone", folds=folds)
    alone = json.loads((tmp_path / "alone" / "result.json").read_text(encoding="utf-8"))
    adapted = rows["half the rate"]["adapted"]
    assert adapted["ua"] == pytest.approx(alone["pooled"]["ua"])
    difference, low, high = adapted["difference"]
    assert difference == pytest.approx(adapted["ua"] - rows[AS_IT_IS]["adapted"]["ua"])
    assert low <= difference <= high
    assert adapted["speakers"] == 2

    path = ablation_path(tmp_path / "results", result)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(result), encoding="utf-8")
    table = sections_of(read_results(tmp_path / "results"))["ablations"]
    assert f"{100 * adapted['ua']:.1f}" in table
    assert np.isfinite(difference)
