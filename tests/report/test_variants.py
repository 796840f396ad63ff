from ser_keras.config import load_config
from ser_keras.report.results_folder import read_results
from ser_keras.report.variants import has_all_epochs, is_complete, settings_in_words, variant
from tests.architecture import ROOT


def test_an_ablation_is_named_by_what_it_changes():
    config = load_config("attention_cnn", ["model.options.head=gap"]).to_dict()
    result = {"model": "attention_cnn", "settings": "paper", "recipes": {"attention_cnn": config}}
    assert variant(result) == ["head=gap"]


def test_a_run_of_fewer_epochs_than_its_recipe_has_says_so():
    result = {
        "model": "moma",
        "settings": "ours",
        "chosen": False,
        "recipes": {"moma": load_config("moma").to_dict()},
    }
    assert settings_in_words(result) == "ours"
    result["recipes"] = {"moma": load_config("moma", ["epochs=7"]).to_dict()}
    assert settings_in_words(result) == "ours, 7 of 60 epochs"


def run(*valid, epochs=60, patience=2, folds=1):
    config = {"epochs": epochs, "select": "validation", "patience": patience}
    history = [{"valid_ua": ua} for ua in valid]
    return {
        "recipes": {"moma": config},
        "folds": [{"recipe": "moma", "history": history}],
        "protocol": {"folds": folds, "folds_run": 1},
    }


def test_a_run_has_all_epochs_at_the_end_or_by_early_stopping():
    assert has_all_epochs(run(*[0.5] * 60))
    assert has_all_epochs(run(0.1, 0.3, 0.2, 0.3))
    assert not has_all_epochs(run(0.1, 0.3, 0.2))
    assert not has_all_epochs(run(*[0.5] * 4, epochs=4, patience=9))


def test_a_run_is_complete_with_all_folds_and_all_epochs():
    assert is_complete(run(*[0.5] * 60))
    assert not is_complete(run(*[0.5] * 60, folds=2))
    assert not is_complete(run(0.1, 0.3, 0.2))


def test_every_committed_row_has_all_epochs_of_its_recipe():
    results = read_results(ROOT / "results")
    rows = results["cross-validation"]
    assert [path for path, result in rows.items() if not has_all_epochs(result)] == []
    for search in results["search"].values():
        epochs = [change for change in search["changes"] if change.startswith("epochs=")]
        recipe_epochs = load_config(search["recipe"]).epochs
        assert all(int(change.partition("=")[2]) >= recipe_epochs for change in epochs), search[
            "command"
        ]
