"""Settings are not tested on people who chose them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ser_keras.config import config_from_dict, load_config
from ser_keras.errors import LeakageError, SchemaError
from ser_keras.experiments.crosscorpus import run_crosscorpus
from ser_keras.experiments.crossval import run_crossval
from ser_keras.experiments.label_curve import run_label_curve
from ser_keras.experiments.searched_folds import searched_folds
from ser_keras.protocols import make_fold
from tuning.comparison import check_comparison
from tuning.search import Search, begin_search, default_folds
from tuning.space import Setting, Space
from tuning.study import Line, Study, run_study

RATE = Setting("optimizer.learning_rate", "why not", low=1e-5, high=1e-2, log=True)


@pytest.fixture
def circle(feature_set, protocol):
    """Folds in which each one's validation speaker is the next one's test speaker."""
    speakers = sorted({row.speaker for row in feature_set.rows})

    def rows(*names):
        return [row for row in feature_set.rows if row.speaker in names]

    folds = []
    for number, test in enumerate(speakers):
        valid = speakers[(number + 1) % len(speakers)]
        train = [name for name in speakers if name not in (test, valid)]
        folds.append(make_fold(f"speaker-{test}", rows(*train), rows(valid), rows(test)))
    return replace(protocol, folds=tuple(folds))


def search_of(recipe, *folds):
    return Search(Space(recipe, (RATE,)), "random", 1, folds)


def names_of(protocol):
    return [fold.name for fold in protocol.folds]


def test_a_search_is_not_tested_where_another_of_its_folds_judged(recipe, feature_set, circle):
    first, second, third, _ = names_of(circle)
    check_comparison(search_of(recipe, first), feature_set, circle)
    # The first fold's judge is tested in the second, but nobody who is tested in the third judged.
    with pytest.raises(LeakageError, match=f"fold {second} tests 1 speaker .* chose the settings"):
        check_comparison(search_of(recipe, first, second), feature_set, circle)
    check_comparison(search_of(recipe, first, third), feature_set, circle)


def test_folds_that_are_taken_by_default_can_be_tested(recipe, feature_set, circle):
    chosen = default_folds(circle, 2)
    first, _, third, _ = names_of(circle)
    assert chosen == (first, third)
    check_comparison(search_of(recipe, *chosen), feature_set, circle)
    assert default_folds(circle, 1) == (first,)


@pytest.fixture
def best(recipe, feature_set, circle, tmp_path):
    """File of the best recipe of a search on the first fold, as a search leaves it."""
    folder = tmp_path / "search"
    search = search_of(recipe, names_of(circle)[0])
    begin_search(search, feature_set, circle, folder)
    (folder / "search.json").write_text(json.dumps(search.facts()))
    path = folder / "best.yaml"
    path.write_text(Path(recipe).read_text())
    return path


def test_the_best_settings_are_not_tested_on_who_chose_them(best, feature_set, circle, tmp_path):
    first, second, *_ = circle.folds
    assert searched_folds(best) == (first,)
    with pytest.raises(LeakageError, match=f"fold {second.name} tests 1 speaker "):
        run_crossval(
            {"best": load_config(best)},
            feature_set,
            circle,
            tmp_path / "run",
            searched=searched_folds(best),
        )
    assert not (tmp_path / "run").exists()


def test_the_best_settings_draw_no_label_curve_of_who_chose_them(
    best, feature_set, circle, tmp_path
):
    second = circle.folds[1].name
    config = config_from_dict({"model": {"name": "sparse_autoencoder"}})
    with pytest.raises(LeakageError, match=f"fold {second} tests 1 speaker "):
        run_label_curve(
            "best", config, feature_set, circle, tmp_path / "run", searched=searched_folds(best)
        )


def test_the_best_settings_of_a_corpus_are_not_tested_on_its_judges_by_another_corpus(
    best, recipe, feature_set, tmp_path
):
    def named(name, *speakers):
        rows = tuple(row for row in feature_set.rows if row.speaker in speakers)
        return replace(feature_set, schema=replace(feature_set.schema, name=name), rows=rows)

    (fold,) = searched_folds(best)
    speaker_of = {row.key: row.speaker for row in feature_set.rows}
    judge = speaker_of[fold.valid[0]]
    rest = [name for name in sorted(set(speaker_of.values())) if name != judge]
    sets = [named("one", judge, rest[0]), named("two", *rest[1:])]
    config = replace(load_config(recipe), select="last")
    with pytest.raises(LeakageError, match=f"fold two tests 1 speaker .*{judge}.* chose the"):
        run_crosscorpus("best", config, sets, tmp_path / "run", searched=(fold,))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_result_says_who_was_heard_in_trials(best, feature_set, circle, tmp_path):
    first, _, third, _ = names_of(circle)
    config = replace(load_config(best), select="last")
    for fold, wanted in ((first, []), (third, ["warn"])):
        result = run_crossval(
            {"best": config},
            feature_set,
            circle,
            tmp_path / fold,
            folds=[fold],
            searched=searched_folds(best),
        )
        severities = [one["severity"] for one in result["audit"] if one["check"] == "settings"]
        assert severities == wanted


def test_other_recipes_come_from_no_search(recipe, best):
    assert searched_folds(recipe) == searched_folds("demo") == ()
    (best.parent / "search.json").write_text("[]")
    with pytest.raises(
        SchemaError, match=r"search\.json: lacks folds, expected the result of a search"
    ):
        searched_folds(best)


@pytest.mark.slow
def test_a_search_and_a_study_are_not_gone_on_with_on_other_features(
    recipe, feature_set, circle, tmp_path
):
    changed = replace(feature_set, manifest=feature_set.manifest | {"fingerprint": "0" * 64})
    first = names_of(circle)[0]
    search = search_of(recipe, first)
    begin_search(search, feature_set, circle, tmp_path / "search")
    with pytest.raises(SchemaError, match=r"other settings \(features: "):
        begin_search(search, changed, circle, tmp_path / "search")
    study = Study("tiny", "", recipe, (Line("rates", RATE.key, "", (1e-3,), {}),))
    run_study(study, feature_set, circle, tmp_path / "study", folds=[first])
    with pytest.raises(SchemaError, match=r"other settings \(features: "):
        run_study(study, changed, circle, tmp_path / "study", folds=[first])
