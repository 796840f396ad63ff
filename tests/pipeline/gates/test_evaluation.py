import numpy as np
import pytest

from pipeline.gates.blessing import reasons_against
from pipeline.gates.evaluation import evaluate, load_evaluation, write_evaluation
from pipeline.gates.thresholds import judge
from ser_keras import metrics
from ser_keras.errors import ConfigError, SchemaError
from tests.pipeline.runs import CLASSES, probabilities_of, write_run

WRONG = (0, 1, 2)


@pytest.fixture
def rows(feature_set):
    return feature_set.rows


@pytest.fixture
def evaluation(rows, features, tmp_path):
    """Of a run that is wrong about the first three utterances, all of speaker s01."""
    return evaluate(write_run(tmp_path / "run", rows, probabilities_of(rows, WRONG)), features)


def test_every_slice_is_scored_by_the_same_metrics(evaluation, rows):
    probabilities = probabilities_of(rows, WRONG).astype("f4")
    labels = [CLASSES.index(row.label) for row in rows]
    speakers = [row.speaker for row in rows]
    expected = metrics.summarize(labels, probabilities, speakers, CLASSES)
    slices = evaluation["slices"]
    assert slices["all"]["all"] == expected
    assert set(slices["speaker"]) == {"s01", "s02", "s03", "s04"}
    assert slices["speaker"]["s01"]["wa"] == 9 / 12
    assert slices["speaker"]["s02"]["wa"] == 1
    assert slices["gender"]["female"]["utterances"] == 24
    assert set(slices["corpus"]) == {"synthetic"}
    assert evaluation["weights"] == {"speaker-s01": "w" * 64}


def test_duration_is_cut_into_thirds_of_the_tested_utterances(evaluation, rows):
    short, long = evaluation["duration_bounds_s"]
    slices = evaluation["slices"]["duration"]
    assert slices["short"]["utterances"] == sum(row.duration_s <= short for row in rows)
    assert slices["long"]["utterances"] == sum(row.duration_s > long for row in rows)
    assert sum(scores["utterances"] for scores in slices.values()) == len(rows)


def test_the_verdict_lies_beside_the_scores(evaluation, tmp_path):
    verdict = judge(evaluation, {"all": {"wa": 0.99}}, {})
    write_evaluation(tmp_path / "out", evaluation, verdict)
    assert reasons_against(tmp_path / "out") == verdict.reasons
    loaded = load_evaluation(tmp_path / "out")
    assert loaded["slices"] == evaluation["slices"]
    assert loaded["reasons"] == verdict.reasons


def test_a_missing_run_and_other_features_are_errors(rows, features, tmp_path):
    with pytest.raises(ConfigError, match=r"found no result\.json, expected a finished run"):
        evaluate(tmp_path, features)
    with pytest.raises(SchemaError, match=r"found no readable evaluation\.json"):
        load_evaluation(tmp_path)
    run = write_run(tmp_path / "run", rows, probabilities_of(rows))
    keys = np.array([f"other/{row.key}" for row in rows])
    scores = run / "folds" / "speaker-s01" / "scores.npz"
    with np.load(scores) as stored:
        np.savez(scores, **{**stored, "keys": keys})
    with pytest.raises(SchemaError, match=r"found no utterance other/.* \(48 are missing\)"):
        evaluate(run, features)
