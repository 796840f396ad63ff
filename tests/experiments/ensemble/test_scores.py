"""The scores of an ensemble, against a mean taken one utterance at a time."""

import numpy as np
import pytest

from ser_keras.config import config_from_dict
from ser_keras.errors import ConfigError, SchemaError
from ser_keras.experiments.crossval import run_crossval
from ser_keras.experiments.ensemble import evaluate_ensemble, is_ensemble, run_ensemble
from tests.small_runs import ADAPTED, FOLDS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ensemble(pool, tmp_path_factory):
    """(folder, result) of the ensemble of all three runs, with other weights."""
    output = tmp_path_factory.mktemp("ensemble") / "all"
    return output, run_ensemble(pool.runs, pool.sets, output, weights=[2, 1, 1])


def stored(path):
    with np.load(path) as file:
        return dict(zip(file["keys"].tolist(), file["probabilities"].tolist(), strict=True))


def naive_mean(by_member, weights):
    """Returns the mean by key, with plain numbers."""
    total = sum(weights)
    return {
        key: [
            sum(w * scores[key][column] for w, scores in zip(weights, by_member, strict=True))
            / total
            for column in range(len(by_member[0][key]))
        ]
        for key in by_member[0]
    }


@pytest.mark.parametrize(
    ("file", "members"),
    [
        ("scores.npz", {0: ("scores.npz", 2), 1: ("scores.npz", 1)}),
        (
            "scores-blind.npz",
            {0: ("scores-blind.npz", 2), 1: ("scores-blind.npz", 1), 2: ("scores.npz", 1)},
        ),
    ],
    ids=["adapted, of the adapted members", "blind, of all members"],
)
def test_an_ensemble_has_the_weighted_mean_of_the_members_probabilities(
    ensemble, pool, file, members
):
    output, _ = ensemble
    for fold in FOLDS:
        expected = naive_mean(
            [stored(pool.runs[n] / "folds" / fold / name) for n, (name, _) in members.items()],
            [weight for _, weight in members.values()],
        )
        mean = stored(output / "folds" / fold / file)
        assert list(mean) == list(expected)
        np.testing.assert_allclose(list(mean.values()), list(expected.values()), atol=1e-6)


def recall_mean(keys, probabilities, pool):
    """Returns UA, counted utterance by utterance."""
    label_of = {row.key: row.label for row in pool.sets[0].rows}
    classes = pool.protocol.class_set.classes
    right = {name: [] for name in classes}
    for key, row in zip(keys, probabilities, strict=True):
        right[label_of[key]].append(classes[row.index(max(row))] == label_of[key])
    return sum(sum(row) / len(row) for row in right.values()) / len(classes)


def test_results_of_both_tracks_have_every_member_and_the_best_beside_them(ensemble, pool, read):
    output, result = ensemble
    assert is_ensemble(output)
    assert not is_ensemble(pool.runs[0])
    adapted, blind = read(output / "result.json"), read(output / "result-blind.json")
    assert adapted == result
    assert [member["name"] for member in adapted["members"]] == ["cnn-0", "cnn-1"]
    assert [member["name"] for member in blind["members"]] == ["cnn-0", "cnn-1", "moma"]
    [left_out] = adapted["left_out"]
    assert left_out["name"] == "moma"
    assert "has no adapted track" in left_out["reason"]
    for scored, file in ((adapted, "scores.npz"), (blind, "scores-blind.npz")):
        together = {}
        for fold in FOLDS:
            together |= stored(output / "folds" / fold / file)
        ua = recall_mean(list(together), list(together.values()), pool)
        assert scored["pooled"]["ua"] == pytest.approx(ua)
        best = max(scored["members"], key=lambda member: member["ua"])
        assert scored["best_member"]["name"] == best["name"]
        assert scored["best_member"]["ensemble_above"][0] == pytest.approx(ua - best["ua"])
    for number, member in enumerate(blind["members"]):
        name = "result.json" if member["track"] == "blind" else "result-blind.json"
        own = read(pool.runs[number] / name)
        assert member["ua"] == own["pooled"]["ua"]
        assert member["seed"] == next(iter(own["recipes"].values()))["seed"]
        hashes = [fold["weights_sha256"] for fold in own["folds"]]
        assert [fold["weights_sha256"] for fold in member["folds"]] == hashes
    parameters = [read(run / "result.json")["cost"]["parameters"] for run in pool.runs]
    assert blind["cost"]["parameters"] == sum(parameters)
    assert adapted["cost"]["parameters"] == sum(parameters[:2])


def test_one_adapted_member_makes_no_adapted_track(pool, tmp_path, read):
    result = run_ensemble(pool.runs[1:], pool.sets, tmp_path)
    assert result["track"] == "blind"
    assert "Only cnn-1 has an adapted track; an ensemble needs two" in result["note"]
    assert len(result["members"]) == 2
    assert not (tmp_path / "result-blind.json").exists()
    expected = naive_mean(
        [
            stored(pool.runs[1] / "folds" / FOLDS[0] / "scores-blind.npz"),
            stored(pool.runs[2] / "folds" / FOLDS[0] / "scores.npz"),
        ],
        [1, 1],
    )
    mean = stored(tmp_path / "folds" / FOLDS[0] / "scores.npz")
    np.testing.assert_allclose(list(mean.values()), list(expected.values()), atol=1e-6)


def test_the_same_command_again_changes_nothing_and_another_ensemble_is_refused(pool, tmp_path):
    output = tmp_path / "out"
    first = run_ensemble(pool.runs[:2], pool.sets[:1], output)
    assert run_ensemble(pool.runs[:2], pool.sets[:1], output) == first
    with pytest.raises(SchemaError, match="holds an ensemble of other runs, weights or tracks"):
        run_ensemble(pool.runs[:2], pool.sets[:1], output, weights=[1, 3])
    with pytest.raises(SchemaError, match="holds an ensemble of other runs, weights or tracks"):
        run_ensemble(pool.runs, pool.sets, output)


def test_the_members_models_score_what_the_ensemble_has_stored(ensemble, pool):
    output, _ = ensemble
    summary = evaluate_ensemble(output, pool.sets, fold=FOLDS[0])
    mean = stored(output / "folds" / FOLDS[0] / "scores.npz")
    assert summary["ua"] == pytest.approx(recall_mean(list(mean), list(mean.values()), pool))
    assert summary["utterances"] == len(mean)
    whole = evaluate_ensemble(output, pool.sets, fold=FOLDS[0], whole=True)
    assert whole["utterances"] == len(pool.sets[0].rows)


def test_a_member_of_one_track_alone_is_in_the_mean_of_that_track_alone(pool, tmp_path):
    cnn, _, moma = pool.runs
    result = run_ensemble([pool.alone, cnn, moma], pool.sets, tmp_path / "three")
    assert result["track"] == "adapted"
    assert not (pool.alone / "result-blind.json").exists()
    fold = FOLDS[0]
    for file, members in {
        "scores.npz": [(pool.alone, "scores.npz"), (cnn, "scores.npz")],
        "scores-blind.npz": [(cnn, "scores-blind.npz"), (moma, "scores.npz")],
    }.items():
        by_member = [stored(run / "folds" / fold / name) for run, name in members]
        mean = stored(tmp_path / "three" / "folds" / fold / file)
        expected = naive_mean(by_member, [1] * len(by_member))
        np.testing.assert_allclose(
            [mean[key] for key in expected], list(expected.values()), atol=1e-6
        )


def test_a_run_for_both_tracks_is_taken_for_one_where_that_is_asked(pool, tmp_path):
    cnn, other, moma = pool.runs
    tracks = ["adapted", "adapted", ""]
    result = run_ensemble([cnn, other, moma], pool.sets, tmp_path / "three", tracks=tracks)
    assert [member["name"] for member in result["members"]] == ["cnn-0", "cnn-1"]
    blind = stored(tmp_path / "three" / "folds" / FOLDS[0] / "scores-blind.npz")
    alone = stored(moma / "folds" / FOLDS[0] / "scores.npz")
    np.testing.assert_allclose([blind[key] for key in alone], list(alone.values()), atol=1e-6)
    with pytest.raises(ConfigError, match="moma:adapted: unknown track of this run"):
        run_ensemble([cnn, moma], pool.sets, tmp_path / "no", tracks=["", "adapted"])


def test_one_member_for_each_track_is_an_ensemble_with_both(pool, tmp_path):
    moma = pool.runs[2]
    result = run_ensemble([pool.alone, moma], pool.sets, tmp_path / "two")
    for run, file in ((pool.alone, "scores.npz"), (moma, "scores-blind.npz")):
        mean = stored(tmp_path / "two" / "folds" / FOLDS[0] / file)
        alone = stored(run / "folds" / FOLDS[0] / "scores.npz")
        np.testing.assert_allclose([mean[key] for key in alone], list(alone.values()), atol=1e-6)
    assert result["best_member"]["name"] == "alone"


def test_speakers_with_too_little_speech_get_the_blind_answer_of_the_ensemble(pool, tmp_path):
    moma = pool.runs[2]
    adaptation = ADAPTED["adaptation"] | {"blind_share": 0, "least_s": 1e6}
    config = config_from_dict(ADAPTED | {"adaptation": adaptation})
    run_crossval({"x": config}, pool.sets[0], pool.protocol, tmp_path / "strict", folds=FOLDS)
    result = run_ensemble([tmp_path / "strict", moma], pool.sets, tmp_path / "two")
    assert len(result["not_adapted"]) == 2
    mean = stored(tmp_path / "two" / "folds" / FOLDS[0] / "scores.npz")
    blind = stored(moma / "folds" / FOLDS[0] / "scores.npz")
    np.testing.assert_allclose([mean[key] for key in blind], list(blind.values()), atol=1e-6)
    summary = evaluate_ensemble(tmp_path / "two", pool.sets, fold=FOLDS[0])
    assert summary["ua"] == pytest.approx(recall_mean(list(blind), list(blind.values()), pool))
