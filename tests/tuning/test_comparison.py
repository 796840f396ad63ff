import numpy as np
import pytest
import yaml

from ser_keras.config import load_config
from tuning.comparison import compare_on_test
from tuning.search import Search, run_search
from tuning.space import Setting, Space

RATES = (1e-3, 1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("best", RATES)
def test_recipe_and_best_are_scored_on_the_folds_of_the_search_alone(
    best, recipe, feature_set, protocol, tmp_path
):
    setting = Setting("optimizer.learning_rate", "why not", values=RATES)
    fold = protocol.folds[0]
    changes = (f"optimizer.learning_rate={RATES[0]}", "epochs=2")
    search = Search(Space(recipe, (setting,)), "random", 2, (fold.name,), changes, trial_epochs=1)
    result = run_search(search, feature_set, protocol, tmp_path)
    assert [trial["epochs"] for trial in result["trials"]] == [1, 1]
    assert load_config(tmp_path / "best.yaml").epochs == 2
    # Whichever was the better one: both cases are looked at.
    write = search.config({setting.key: best}).to_dict()
    (tmp_path / "best.yaml").write_text(yaml.safe_dump(write))
    test = compare_on_test(search, feature_set, protocol, tmp_path)
    runs = sorted(path.name for path in (tmp_path / "test").iterdir())
    assert runs == (["recipe"] if best == RATES[0] else ["best", "recipe"])
    for run in runs:
        (scored,) = (tmp_path / "test" / run / "folds").iterdir()
        assert set(np.load(scored / "scores.npz")["keys"]) == set(fold.test)
    difference, low, high = test["difference"]
    assert low <= difference <= high
    assert difference == pytest.approx(test["best"]["ua"] - test["recipe"]["ua"])
    assert (difference == 0) or best != RATES[0]
