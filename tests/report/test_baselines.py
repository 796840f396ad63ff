import numpy as np
import pytest

from ser_keras.report.baselines import (
    TRACKS,
    baseline_facts,
    baseline_of,
    difference_in_words,
    inner_ua,
    paired_difference,
    predictions,
    track_of,
)
from ser_keras.report.percent import percent
from ser_keras.report.results_folder import read_results
from tests.architecture import ROOT
from tests.report.finished_runs import baseline_result, result_of

GOOD = [[8, 0, 0], [0, 8, 0], [0, 0, 8]]
POOR = [[8, 0, 0], [8, 0, 0], [8, 0, 0]]


@pytest.fixture(scope="module")
def committed():
    return read_results(ROOT / "results")


def test_every_committed_result_stands_beside_a_machine_on_functionals(committed):
    machines = list(committed["baseline"].values())
    for result in committed["cross-validation"].values():
        facts = baseline_facts(machines, result)
        if facts is None:
            assert result["protocol"]["shares_speakers"]
            continue
        assert (facts["features"], facts["track"]) == ("compare", track_of(result))
        assert (facts["difference"] is None) == ("by_speaker" not in result)


def test_committed_machines_are_there_for_both_kernels_and_tracks(committed):
    machines = list(committed["baseline"].values())
    corpora = {"emodb": "emodb4", "emodb-2s": "emodb7", "ravdess": "ravdess8", "nemo": "nemo6"}
    rows = {
        (row["dataset"], row["class_set"]["name"], row["features"]["spec_name"], *kind)
        for row in machines
        for kind in [(row["kernel"], row["track"])]
        if not row["protocol"]["shares_speakers"]
    }
    assert rows == {
        (dataset, classes, features, kernel, track)
        for dataset, classes in corpora.items()
        for features in ("compare", "egemaps")
        for kernel in ("linear", "rbf")
        for track in TRACKS
    }


def test_the_kernel_of_a_committed_baseline_is_the_one_that_its_result_names(committed):
    machines = list(committed["baseline"].values())
    for row in machines:
        chosen = baseline_of(machines, row)
        assert chosen["kernel"] == chosen["choice"]["kernel"]
        best = [max(tried["ua"] for tried in fold["inner_ua"]) for fold in row["folds"]]
        assert inner_ua(row) == pytest.approx(np.mean(best))


def test_training_speakers_choose_the_kernel_and_no_test_score_does():
    machines = [
        baseline_result(dict.fromkeys("abcd", GOOD), "linear", inner_ua=0.4),
        baseline_result(dict.fromkeys("abcd", POOR), "rbf", inner_ua=0.5),
        baseline_result(dict.fromkeys("abcd", GOOD), "linear", "egemaps", inner_ua=0.9),
        baseline_result(dict.fromkeys("abcd", GOOD), "linear", track="adapted", inner_ua=0.9),
    ]
    assert baseline_of(machines, result_of()) is machines[1]
    assert baseline_of(machines, result_of(track="adapted")) is machines[3]
    assert baseline_of(machines, result_of(dataset="other")) is None
    assert baseline_of(machines[2:3], result_of()) is machines[2]
    equal = [baseline_result(dict.fromkeys("abcd", GOOD), kernel) for kernel in ("rbf", "linear")]
    assert baseline_of(equal, result_of()) is equal[1]


def test_a_machine_on_fewer_folds_is_no_baseline_of_the_whole():
    two, four = (baseline_result(dict.fromkeys(names, GOOD)) for names in ("ab", "abcd"))
    assert baseline_of([two], result_of()) is None
    assert baseline_of([two, four], result_of()) is four
    assert baseline_of([two], result_of(speakers=("b", "a"))) is two
    assert baseline_facts([two], result_of()) is None


def test_the_baseline_beside_some_folds_is_that_of_these_folds():
    machine = baseline_result({"a": GOOD, "b": POOR, "c": POOR})

    def ua_on(*speakers):
        folds = [{"fold": f"speaker-{name}"} for name in speakers]
        return percent(baseline_facts([machine], result_of(folds=folds))["ua"])

    assert (ua_on("a"), ua_on("b"), ua_on("a", "b")) == ("100.0", "33.3", "66.7")
    assert baseline_facts([machine], result_of(dataset="elsewhere")) is None


def test_the_difference_is_paired_over_speakers():
    result = result_of(3, skill=0.8)
    machine = baseline_result(dict.fromkeys("abcd", GOOD))
    difference, low, high = baseline_facts([machine], result)["difference"]
    assert difference == pytest.approx(result["pooled"]["ua"] - 1)
    # The bootstrap spelled out: speakers drawn with replacement, both models scored on them.
    counts = np.array([result["by_speaker"][name] for name in "abcd"])
    rng, drawn = np.random.default_rng(1), []
    for _ in range(4000):
        table = counts[rng.integers(4, size=4)].sum(axis=0)
        drawn.append(np.mean(np.diag(table) / table.sum(axis=1)) - 1)
    assert [low, high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.01)


def test_what_scored_other_utterances_has_no_difference():
    machine = baseline_result(dict.fromkeys("abcd", GOOD))
    without = {name: counts for name, counts in result_of().items() if name != "by_speaker"}
    dropped = result_of(by_speaker={name: [[7, 0, 0], *GOOD[1:]] for name in "abcd"})
    for result in (without, dropped):
        assert baseline_facts([machine], result)["difference"] is None
    assert paired_difference([{"a": GOOD}], {"b": GOOD}) is None
    assert paired_difference([{}], {}) is None


def test_differences_are_written_with_sign_and_interval():
    assert difference_in_words(None) == ""
    assert difference_in_words({"difference": None}) == "–"
    one = {"difference": [-0.0001, -1, 1], "speakers": 1}
    assert difference_in_words(one) == "+0.0 (–)"


def test_predictions_add_up_to_the_confusions():
    true, predicted, speakers = predictions({"b": [[1, 2], [0, 3]], "a": [[0, 1], [0, 0]]})
    assert speakers == ["a"] + ["b"] * 6
    assert list(zip(true, predicted, strict=True)) == [
        (0, 1), (0, 0), (0, 1), (0, 1), (1, 1), (1, 1), (1, 1),
    ]  # fmt: skip
