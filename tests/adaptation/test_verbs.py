"""Experiments with a recipe that normalises by speaker: every one of them, on a tiny corpus."""

from dataclasses import replace

import pytest

from ser_keras.config import config_from_dict
from ser_keras.data.feature_set import FeatureSet
from ser_keras.experiments.crosscorpus import run_crosscorpus
from ser_keras.experiments.evaluate import evaluate_run
from ser_keras.experiments.label_curve import WITH, WITHOUT, run_label_curve
from ser_keras.protocols import build_protocol
from ser_keras.report.pages.page import write_report
from ser_keras.report.runs import open_runs
from ser_keras.report.summary import crosscorpus_table
from tests.adaptation.test_tracks import RECIPE, read

CONFIG = config_from_dict(RECIPE | {"epochs": 1})
AUTOENCODER = {
    "name": "sparse_autoencoder",
    "options": {
        "encoder_units": 152,
        "recurrent_units": 4,
        "speaker": {"average_frames": 2, "functionals": 1243, "functional_units": 4},
    },
}


def of_speakers(feature_set: FeatureSet, name: str, *speakers: str) -> FeatureSet:
    """Returns the part of a feature set as a corpus of its own, whose speakers nobody shares."""
    rows = tuple(
        replace(row, speaker=f"{name}-{row.speaker}", corpus=name)
        for row in feature_set.rows
        if row.speaker in speakers
    )
    return replace(feature_set, schema=replace(feature_set.schema, name=name), rows=rows)


@pytest.mark.slow
def test_corpora_are_tested_by_each_other_on_both_tracks(prosody_set, tmp_path):
    sets = [of_speakers(prosody_set, "one", "s01", "s02"), of_speakers(prosody_set, "two", "s03")]
    result = run_crosscorpus("tiny", CONFIG, sets, tmp_path)
    assert result["track"] == "adapted"
    assert [(cell["train"], cell["test"]) for cell in result["blind_cells"]] == [
        ("one", "two"),
        ("two", "one"),
    ]
    for cells, track in (("cells", "adapted"), ("blind_cells", "blind")):
        for cell in result[cells]:
            record = read(tmp_path / "folds" / cell["train"] / "fold.json")
            assert cell["ua"] == pytest.approx(record["tracks"][track]["ua"])
    [known] = [finding for finding in result["audit"] if finding["check"] == "track"]
    assert "0 of 3 test speakers had less than 1 s" in known["message"]
    table = crosscorpus_table(result)
    assert table.count("| trained on |") == 2
    assert "Track adapted: UA on" in table
    assert "Track blind: UA on" in table


@pytest.mark.slow
def test_a_label_curve_names_its_track(prosody_set, tmp_path):
    protocol = build_protocol("synthetic-loso", prosody_set.rows)
    config = config_from_dict(
        {key: RECIPE[key] for key in ("spec", "select", "normalizer", "adaptation", "batch")}
        | {"epochs": 1, "model": AUTOENCODER}
    )
    folds = [protocol.folds[0].name]
    curve = run_label_curve(
        "tiny", config, prosody_set, protocol, tmp_path, fractions=(0.5,), folds=folds
    )
    assert curve["track"] == "adapted"
    assert [point["unlabelled"] for point in curve["points"]] == [WITHOUT, WITH]


def test_a_second_scoring_is_on_the_track_of_the_recipe(run, prosody_set):
    output, _, fold = run
    summary = evaluate_run(output, prosody_set.path, fold=fold.name)
    assert summary["track"] == "adapted"
    assert summary["ua"] == pytest.approx(read(output / "result.json")["pooled"]["ua"])


def test_a_report_shows_both_tracks_and_what_was_known(run, tmp_path):
    pytest.importorskip("matplotlib")
    output, _, _ = run
    page = write_report(open_runs([output]), tmp_path)[0].read_text(encoding="utf-8")
    assert f"{output.name}, blind" in page
    assert "Track blind: nothing was known of a test speaker." in page
    assert "Track adapted: the unlabelled recordings of a test speaker were known" in page
