import numpy as np
import pytest

from pipeline.gates.blessing import reasons_against
from pipeline.gates.evaluation import evaluate, load_evaluation, write_evaluation
from pipeline.gates.thresholds import judge
from ser_keras import metrics
from ser_keras.errors import ConfigError, SchemaError
from tests.pipeline.runs import CLASSES, sure, write_run

WRONG = (0, 1, 2)


@pytest.fixture
def rows(feature_set):
    return feature_set.rows


@pytest.fixture
def evaluation(rows, features, tmp_path):
    """Of a run that is wrong about the first three utterances, all of speaker s01."""
    return evaluate(write_run(tmp_path / "run", rows, sure(rows, WRONG)), features)


def test_every_slice_is_scored_by_the_same_metrics(evaluation, rows):
    said, true = sure(rows, WRONG).astype("f4"), [CLASSES.index(row.label) for row in rows]
    expected = metrics.summarize(true, said, [row.speaker for row in rows], CLASSES)
    found = evaluation["slices"]
    assert found["all"]["all"] == expected
    assert set(found["speaker"]) == {"s01", "s02", "s03", "s04"}
    assert found["speaker"]["s01"]["wa"] == 9 / 12
    assert found["speaker"]["s02"]["wa"] == 1
    assert found["gender"]["female"]["utterances"] == 24
    assert set(found["corpus"]) == {"synthetic"}
    assert evaluation["weights"] == {"speaker-s01": "w" * 64}


def test_duration_is_cut_into_thirds_of_the_tested_utterances(evaluation, rows):
    short, long = evaluation["duration_bounds_s"]
    found = evaluation["slices"]["duration"]
    assert found["short"]["utterances"] == sum(row.duration_s <= short for row in rows)
    assert found["long"]["utterances"] == sum(row.duration_s > long for row in rows)
    assert sum(each["utterances"] for each in found.values()) == len(rows)


def test_the_verdict_lies_beside_the_scores(evaluation, tmp_path):
    verdict = judge(evaluation, {"all": {"wa": 0.99}}, {})
    write_evaluation(tmp_path / "out", evaluation, verdict)
    assert reasons_against(tmp_path / "out") == verdict.reasons
    found = load_evaluation(tmp_path / "out")
    assert found["slices"] == evaluation["slices"]
    assert found["reasons"] == verdict.reasons


def test_what_is_no_run_or_not_its_features_is_a_sentence(rows, features, tmp_path):
    with pytest.raises(ConfigError, match=r"found no result\.json, expected a finished run"):
        evaluate(tmp_path, features)
    with pytest.raises(SchemaError, match=r"found no readable evaluation\.json"):
        load_evaluation(tmp_path)
    run = write_run(tmp_path / "run", rows, sure(rows))
    keys = np.array([f"other/{row.key}" for row in rows])
    scores = run / "folds" / "speaker-s01" / "scores.npz"
    with np.load(scores) as stored:
        np.savez(scores, **{**stored, "keys": keys})
    with pytest.raises(SchemaError, match=r"found no utterance other/.* \(48 are missing\)"):
        evaluate(run, features)
