from ser_keras.report.baselines import (
    baseline_of,
    baseline_ua,
    published_baselines,
    published_ua,
)
from ser_keras.report.percent import percent
from ser_keras.report.results_folder import read_results
from tests.architecture import ROOT


def test_a_published_score_belongs_to_one_dataset_and_protocol():
    published = published_baselines(read_results(ROOT / "results"))
    result = {"dataset": "ravdess", "protocol": {"name": "ravdess-actor5"}}
    assert percent(published_ua(published, result)) == "45.2"
    result["protocol"]["name"] = "another"
    assert published_ua(published, result) is None


def test_every_committed_result_stands_beside_an_svm_on_the_same_folds():
    results = read_results(ROOT / "results")
    baselines = list(results["baseline"].values())
    for result in results["cross-validation"].values():
        assert baseline_ua(baselines, result) is not None


def test_the_svm_beside_some_folds_is_that_of_these_folds():
    confusions = {"a": [[2, 0], [0, 2]], "b": [[0, 4], [0, 4]], "c": [[0, 9], [9, 0]]}
    baseline = {
        "dataset": "d",
        "protocol": {"sha256": "1"},
        "folds": [{"fold": name, "confusion": counts} for name, counts in confusions.items()],
    }

    def ua_on(*folds):
        result = {"dataset": "d", "protocol": {"sha256": "1"}}
        ua = baseline_ua([baseline], result | {"folds": [{"fold": fold} for fold in folds]})
        return percent(ua)

    assert (ua_on("a"), ua_on("b"), ua_on("a", "b")) == ("100.0", "50.0", "66.7")
    elsewhere = {**baseline, "dataset": "e"}
    assert baseline_ua([elsewhere], baseline) is baseline_of([elsewhere], baseline) is None
