"""Both tracks of a trained model: what it learns of a speaker, and what it must not."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ser_keras.adaptation.speakers import Enroller
from ser_keras.config import config_from_dict
from ser_keras.data.part import FoldPart
from ser_keras.errors import ConfigError
from ser_keras.experiments.crossval import run_crossval
from ser_keras.experiments.run_result import results_by_track
from ser_keras.report.results_folder import result_path
from ser_keras.report.summary import describe
from ser_keras.report.variants import settings_in_words
from ser_keras.training.predict import Scorer, predict

RECIPE = {
    "spec": "mel64-prosody",
    "epochs": 2,
    "select": "last",
    "normalizer": "speaker",
    "adaptation": {
        "blind_share": 0.5,
        "speakers": 2,
        "random_enrolment": True,
        "least_s": 1.0,  # of the few seconds that a synthetic speaker has
    },
    "model": {
        "name": "attention_cnn",
        "options": {
            "filters": [8, 8],
            "pool_after": [1],
            "speaker": {"average_frames": 2, "functionals": 1243, "functional_units": 8},
        },
    },
    "batch": {"size": 8},
    "augment": {"noise": 0.1, "stretch": 0.1, "warp": 0.05, "time_masks": 1, "time_mask_frames": 9},
    "optimizer": {"name": "adamw", "learning_rate": 2e-3},
}


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_run_has_a_result_on_each_track(run):
    output, _, fold = run
    adapted, blind = read(output / "result.json"), read(output / "result-blind.json")
    assert (adapted["track"], blind["track"]) == ("adapted", "blind")
    record = read(output / "folds" / fold.name / "fold.json")
    for result in (adapted, blind):
        assert result["pooled"]["ua"] == record["tracks"][result["track"]]["ua"]
    assert record["not_adapted"] == []


@pytest.mark.slow
def test_a_model_for_the_adapted_track_alone_has_no_result_on_the_blind_one(pool):
    results = results_by_track(pool.alone)
    assert [result["track"] for result in results] == ["adapted"]
    assert "for this track alone" in settings_in_words(results[0])
    assert result_path(Path(), results[0]).name == "ours-frames-adapted-alone-seed2.json"


def test_a_result_and_its_audit_say_what_was_known_of_the_test_speakers(run):
    output, _, _ = run
    message_of = {}
    for result in results_by_track(output):
        [finding] = [f for f in result["audit"] if f["check"] == "track"]
        message_of[result["track"]] = finding["message"]
        assert finding["message"][1:] in describe(result)
    assert message_of["blind"] == "track blind: nothing was known of a test speaker."
    assert (
        "unlabelled recordings of a test speaker were known, and no label" in message_of["adapted"]
    )
    assert "0 of 1 test speakers had less than 1 s" in message_of["adapted"]


@pytest.mark.slow
def test_speakers_with_too_little_speech_are_counted_in_the_adapted_result(prosody_set, tmp_path):
    from ser_keras.protocols import build_protocol

    protocol = build_protocol("synthetic-loso", prosody_set.rows)
    strict = {"epochs": 1, "adaptation": RECIPE["adaptation"] | {"least_s": 1e6}}
    config, fold = config_from_dict(RECIPE | strict), protocol.folds[0]
    run_crossval({"strict": config}, prosody_set, protocol, tmp_path, folds=[fold.name])
    adapted, blind = results_by_track(tmp_path)
    assert len(adapted["not_adapted"]) == 1
    assert blind["not_adapted"] == []
    assert "1 of 1 test speakers had less than 1e+06 s" in describe(adapted)
    assert adapted["pooled"] == blind["pooled"]


def scores(model, config, part, track):
    return predict(model, part, config.batch, track, config.adaptation.least_s)


def part_of(feature_set, keys, label=0):
    return FoldPart(feature_set, dict.fromkeys(keys, label))


def test_the_blind_answer_of_an_utterance_does_not_depend_on_others(run, model, prosody_set):
    _, config, fold = run
    together = scores(model, config, part_of(prosody_set, fold.test), "blind")
    key = fold.test[3]
    alone = scores(model, config, part_of(prosody_set, [key]), "blind")
    row = list(together.keys).index(key)
    np.testing.assert_allclose(alone.probabilities[0], together.probabilities[row], atol=1e-5)


def test_the_adapted_answer_knows_no_label_and_no_other_speaker(run, model, prosody_set):
    _, config, fold = run
    adapted = scores(model, config, part_of(prosody_set, fold.test), "adapted")
    other_labels = scores(model, config, part_of(prosody_set, fold.test, label=2), "adapted")
    np.testing.assert_array_equal(adapted.probabilities, other_labels.probabilities)
    with_others = scores(
        model, config, part_of(prosody_set, [*fold.test, *fold.train[:9]]), "adapted"
    )
    rows = [list(with_others.keys).index(key) for key in adapted.keys]
    np.testing.assert_allclose(with_others.probabilities[rows], adapted.probabilities, atol=1e-5)


def test_the_adapted_answer_depends_on_the_other_recordings_of_the_speaker(run, model, prosody_set):
    _, config, fold = run
    adapted = scores(model, config, part_of(prosody_set, fold.test), "adapted")
    half = scores(model, config, part_of(prosody_set, fold.test[::2]), "adapted")
    rows = [list(adapted.keys).index(key) for key in half.keys]
    assert np.abs(half.probabilities - adapted.probabilities[rows]).max() > 1e-3


def test_enrolment_with_chosen_recordings_is_that_of_these_alone(run, model, prosody_set):
    _, config, fold = run
    scorer = Scorer(model, part_of(prosody_set, fold.test), config.batch, keep=True)
    every = scores(model, config, part_of(prosody_set, fold.test), "adapted").probabilities
    np.testing.assert_array_equal(scorer.adapted(known=fold.test).probabilities, every)
    half = scorer.adapted(known=fold.test[::2])
    only_half = scores(model, config, part_of(prosody_set, fold.test[::2]), "adapted")
    rows = [list(half.keys).index(key) for key in only_half.keys]
    np.testing.assert_allclose(half.probabilities[rows], only_half.probabilities, atol=1e-5)
    np.testing.assert_array_equal(
        scorer.adapted(known=()).probabilities, scorer.blind().probabilities
    )
    short = scorer.adapted(least_s=1e6, known=fold.test[::2])
    np.testing.assert_array_equal(short.probabilities, scorer.blind().probabilities)


def test_recordings_of_other_speakers_cannot_be_enrolled(run, model, prosody_set):
    _, config, fold = run
    scorer = Scorer(model, part_of(prosody_set, fold.test), config.batch)
    with pytest.raises(ConfigError, match="outside of the part"):
        scorer.adapted(known=[*fold.test[:2], fold.train[0]])


def test_a_speaker_with_too_little_speech_gets_the_blind_answer(run, model, prosody_set):
    _, config, fold = run
    strict = replace(config, adaptation=replace(config.adaptation, least_s=1e6))
    part = part_of(prosody_set, fold.test)
    assert Enroller(model, part).enrolled(None, 1e6).adapted == frozenset()
    np.testing.assert_allclose(
        scores(model, strict, part, "adapted").probabilities,
        scores(model, strict, part, "blind").probabilities,
        atol=1e-6,
    )


def test_a_number_of_functionals_that_the_features_do_not_give_is_refused(prosody_set, tmp_path):
    from ser_keras.protocols import build_protocol

    protocol = build_protocol("synthetic-loso", prosody_set.rows)
    options = RECIPE["model"]["options"]
    speaker = options["speaker"] | {"functionals": 821}
    model = RECIPE["model"] | {"options": options | {"speaker": speaker}}
    recipes = {"x": config_from_dict(RECIPE | {"model": model})}
    with pytest.raises(ConfigError, match=r"functionals is 821, expected 1243"):
        run_crossval(recipes, prosody_set, protocol, tmp_path, folds=[protocol.folds[0].name])


@pytest.mark.parametrize(
    "change",
    [
        {"normalizer": "standard"},
        {"model": {"name": "attention_cnn", "options": {"filters": [8, 8], "pool_after": [1]}}},
        {"batch": {"size": 8, "segment_frames": 50, "segment_hop": 25, "test_hop": 25}},
    ],
    ids=["normaliser", "model", "segments"],
)
def test_a_recipe_is_for_both_tracks_or_for_none(change, prosody_set, tmp_path):
    from ser_keras.protocols import build_protocol

    protocol = build_protocol("synthetic-loso", prosody_set.rows)
    recipes = {"x": config_from_dict(RECIPE | change)}
    with pytest.raises(ConfigError, match="speaker"):
        run_crossval(recipes, prosody_set, protocol, tmp_path, folds=[protocol.folds[0].name])
