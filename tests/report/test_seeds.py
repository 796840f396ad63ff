import numpy as np
import pytest

from ser_keras.metrics import unweighted_accuracy_of
from ser_keras.report.seeds import rows_of, seed_of
from ser_keras.report.tables import best_table, table
from tests.report.finished_runs import baseline_result, result_of


def seeded(seed, **changes):
    recipes = {"tiny": {"epochs": 3, "seed": seed}}
    folds = [{**fold, "test_speakers": [fold["fold"][-1]]} for fold in result_of()["folds"]]
    facts = {"recipes": recipes, "chosen": False, "folds": folds, "track": "adapted"}
    return result_of(seed, **(facts | changes))


def test_seeds_of_one_recipe_share_a_row_and_other_recipes_and_tracks_do_not():
    longer = {"tiny": {"epochs": 4, "seed": 1}}
    results = [
        *(seeded(2), seeded(0), seeded(1, track="blind"), seeded(1)),
        *(seeded(1, recipes=longer), seeded(3, folds=seeded(3)["folds"][:2])),
    ]
    rows = rows_of(results)
    assert [[seed_of(result) for result in row.results] for row in rows] == [
        [0, 1, 2], [1], [1], [3],
    ]  # fmt: skip


def test_seeds_with_another_least_amount_of_speech_share_a_row_where_all_speakers_had_it():
    def result(seed, least_s, **changes):
        recipe = {"epochs": 3, "seed": seed, "adaptation": {"least_s": least_s}}
        return seeded(seed, recipes={"tiny": recipe}, **changes)

    assert len(rows_of([result(0, 2.0), result(1, 10.0)])) == 1
    fell_back = result(1, 10.0, not_adapted=["c/a"])
    assert len(rows_of([result(0, 2.0), fell_back])) == 2


def test_a_row_is_the_mean_over_its_seeds_with_an_interval_over_speakers():
    [row] = rows_of([seeded(seed) for seed in range(3)])
    counts = np.array([[result["by_speaker"][name] for name in "abcd"] for result in row.results])
    assert row.ua == pytest.approx(np.mean([r["pooled"]["ua"] for r in row.results]))
    rng, drawn = np.random.default_rng(5), []
    for _ in range(4000):
        speakers = rng.integers(4, size=4)
        drawn.append(np.mean([unweighted_accuracy_of(c[speakers].sum(axis=0)) for c in counts]))
    assert row.ua_interval == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.01)


def test_the_difference_to_the_baseline_is_that_of_the_mean_over_seeds():
    results = [seeded(seed) for seed in range(3)]
    machine = baseline_result(result_of(9, skill=0.4)["by_speaker"], track="adapted")
    [row] = rows_of(results)
    difference, low, high = row.baseline([machine])["difference"]
    assert difference == pytest.approx(row.ua - machine["pooled"]["ua"])
    assert low < difference < high


def test_a_row_says_how_many_seeds_and_cpu_minutes_it_has():
    cost = result_of()["cost"]
    timed = [seeded(seed, cost=cost | {"cpu_seconds": 240.0 + 480 * seed}) for seed in range(2)]
    cells = table(timed).splitlines()[2].split(" | ")
    # 240 s and 720 s of four folds each.
    assert (cells[5], cells[12]) == ("2", "2.0")
    # Of an earlier version, which did not record it.
    assert table([seeded(0)]).splitlines()[2].split(" | ")[12] == "0.1 (clock)"


def test_an_ensemble_stands_beside_its_best_member():
    best = {"name": "cnn-1", "ua": 0.5, "ensemble_above": [0.1, -0.025, 0.2]}
    single = seeded(0, skill=0.6, settings="ours", recipes={})
    poor = seeded(1, skill=0.1, settings="ours", recipes={}, model="poor")
    ensemble = seeded(2, skill=0.9, model="ensemble", recipes={}, best_member=best)
    for result in (single, poor, ensemble):
        for fold in result["folds"]:
            fold["recipe"] = "tiny"
    assert "; best member `cnn-1` 50.0, ensemble +10.0 (-2.5 – +20.0) |" in table([ensemble])
    complete = [
        r | {"recipes": {"tiny": {"epochs": 3, "select": "last"}}} for r in (single, poor, ensemble)
    ]
    complete[2]["members"] = [complete[0] | {"name": "cnn-1", "model": "cnn"}, complete[1]]
    results = {"cross-validation": dict(enumerate(complete)), "baseline": {}}
    (row,) = best_table(results).splitlines()[2:]
    assert row.split(" | ")[3] == "`ensemble`, 2 runs, best `cnn` 50.0"
    del results["cross-validation"][2]
    (row,) = best_table(results).splitlines()[2:]
    assert row.split(" | ")[3] == "`moma`, ours"


def test_a_result_of_an_earlier_version_stands_alone():
    old = [seeded(seed) for seed in range(2)]
    del old[0]["by_speaker"]
    rows = rows_of(old)
    assert len(rows) == 2
    assert rows[0].ua_interval == tuple(old[0]["pooled"]["ua_interval"])
