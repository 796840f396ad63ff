import dataclasses
import json

import pytest

from pipeline.statistics.schema import DataSchema
from pipeline.statistics.validation import audit_anomalies, validate, validate_drift
from ser_keras.data.feature_set import FeatureSet
from tests.pipeline.statistics.example_statistics import example_rows, row, statistics

GOOD = statistics(example_rows())
SCHEMA = dataclasses.replace(
    DataSchema.draft(GOOD), max_silence_ratio=None, max_clipping_ratio=None
)


def changed(path, value):
    """The good statistics with one value changed."""
    copy = json.loads(json.dumps(GOOD))
    *parents, last = path.split("/")
    parent = copy
    for name in parents:
        parent = parent[name]
    parent[last] = value
    return copy


@pytest.mark.parametrize(
    ("path", "value", "feature", "text"),
    [
        ("data/spec_name", "mfcc40", "spec_name", "found mfcc40, expected logmel40"),
        ("data/dim", 3, "dim", "found 3, expected 2"),
        ("data/dtype", "float16", "dtype", "found float16, expected float32"),
        ("data/sample_rate_hz", 8000, "sample_rate_hz", "found 8000, expected 16000"),
        ("features/not_finite", 2, "features", "found 2 values that are NaN or infinite"),
        ("dead", {"empty": 3}, "recordings", "found 3 that could not be used (7.0%)"),
        ("unheard", {"changed": 2}, "recordings", "found 2 that are changed"),
        ("copies", [["a", "b"]], "recordings", "found 1 that are copies of others"),
        (
            "duration_s/highest",
            {"value": 99.0, "key": "made/7"},
            "duration_s",
            "found 99.00 s (made/7), expected 0.75 to 2.47 s",
        ),
        (
            "duration_s/lowest",
            {"value": 0.1, "key": "made/8"},
            "duration_s",
            "found 0.10 s (made/8)",
        ),
    ],
)
def test_every_deviation_is_one_anomaly(path, value, feature, text):
    (anomaly,) = validate(changed(path, value), SCHEMA)
    assert anomaly.feature == feature
    assert text in str(anomaly)
    assert anomaly.action.endswith(".")


def test_labels_are_counted_and_named():
    labels = ["sad"] * 32 + ["angry"] * 5 + ["sda"] * 3
    rows = [row(n, label, f"s{n % 4}") for n, label in enumerate(labels)]
    deviations = {(a.feature, a.actual) for a in validate(statistics(rows), SCHEMA)}
    assert ("label sda", "3 utterances") in deviations
    assert ("label sad", "80.0% of the utterances") in deviations
    assert ("label angry", "12.5% of the utterances") in deviations
    assert ("label angry", "5 utterances") in deviations


def test_speakers_are_counted_and_named():
    names = ["new"] + ["s0"] * 39
    rows = [dataclasses.replace(r, speaker=s) for r, s in zip(example_rows(), names, strict=True)]
    anomalies = validate(statistics(rows), SCHEMA)
    by_feature = {a.feature: a.actual for a in anomalies if "speaker" in a.feature}
    assert by_feature["speakers"] == "2"
    assert by_feature["speaker new"] == "1 utterances"
    assert by_feature["speaker s3"] == "0 utterances"
    any_speakers = dataclasses.replace(SCHEMA, speakers=None, min_speakers=1)
    others = validate(statistics(rows), any_speakers)
    assert [a.feature for a in others if "speaker" in a.feature] == ["speaker new"]


def test_a_limit_without_measurements_is_an_anomaly_and_a_null_is_not():
    schema = dataclasses.replace(SCHEMA, max_silence_ratio=0.5)
    (anomaly,) = validate(GOOD, schema)
    assert str(anomaly) == (
        "silence_ratio: found no measured recordings, expected at most 0.5. Give the corpus "
        "(--data-dir), or set the limit to null."
    )
    measured = changed("silence_ratio", {"highest": {"value": 0.9, "key": "made/3"}})
    (anomaly,) = validate(measured, schema)
    assert anomaly.actual == "0.900 (made/3)"
    measured["silence_ratio"]["highest"]["value"] = 0.5
    assert validate(measured, schema) == []


def test_recordings_that_cannot_be_measured_are_an_anomaly_not_a_crash():
    schema = dataclasses.replace(SCHEMA, max_silence_ratio=0.5)
    unmeasured = changed("unheard", {"missing": 40})
    assert {a.feature for a in validate(unmeasured, schema)} == {"recordings", "silence_ratio"}


def test_drift_beyond_a_limit_is_an_anomaly():
    drift = {"label_share_change": 0.2, "label": "sad", "duration_psi": 0.25}
    drift |= {"mean_shift": 0.1, "feature": 7}
    (anomaly,) = validate_drift(drift, SCHEMA.drift)
    assert anomaly.feature == "drift: share of label sad"
    assert anomaly.actual == "a change of 0.2"
    assert len(validate_drift(drift, {"duration_psi": 0.2, "mean_shift": 0.0})) == 2


def test_the_audit_finds_speakers_that_a_split_shares(tmp_path, corpus, build):
    table = corpus / "manifest.csv"
    head, *lines = table.read_text().splitlines()
    parts = [f"{line},{('train', 'test')[n % 2]}" for n, line in enumerate(lines)]
    table.write_text("\n".join([f"{head},split", *parts]) + "\n")
    feature_set = FeatureSet.open(build())
    (anomaly,) = audit_anomalies(feature_set, "manifest-split")
    assert anomaly.feature == "audit: speakers"
    assert "anna" in anomaly.actual
    assert audit_anomalies(feature_set, "manifest-loso") == []
