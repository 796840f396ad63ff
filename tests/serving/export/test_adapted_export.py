"""From a run by speaker on disk to an export that is checked on both tracks."""

import json

import numpy as np
import pytest

from ser_keras.config import config_from_dict
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, ExportError
from ser_keras.experiments.crossval import run_crossval
from ser_keras.protocols import build_protocol
from serving.export import speaker_signatures
from serving.export.export import export_model
from serving.export.layout import versions
from serving.export.trained_model import open_run
from serving.server.session import LoadedModel
from tests.small_features import write_features

pytestmark = pytest.mark.slow


def recipe(blind_share):
    # Without functionals: of steady tones some are constant but for rounding, and a model of 24
    # utterances would be told that this rounding matters. The test with real speech has them.
    options = {"filters": [8, 8], "pool_after": [1], "speaker": {"average_frames": 2}}
    return config_from_dict(
        {
            "spec": "mel64-prosody",
            "epochs": 2,
            "select": "last",
            "normalizer": "speaker",
            "adaptation": {"blind_share": blind_share, "speakers": 2, "least_s": 1.0},
            "model": {"name": "attention_cnn", "options": options},
            "batch": {"size": 8},
            "optimizer": {"name": "adamw", "learning_rate": 2e-3},
        }
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Returns the function from the share of blind batches to the trained fold, and the corpus."""
    root = tmp_path_factory.mktemp("adapted")
    features = write_features(root, "mel64-prosody", 2)
    feature_set = FeatureSet.open(features)
    protocol = build_protocol("synthetic-loso", feature_set.rows)

    def train(blind_share):
        run = root / f"run-{blind_share}"
        fold = protocol.folds[0].name
        run_crossval({"x": recipe(blind_share)}, feature_set, protocol, run, folds=[fold])
        return open_run(run, features)

    return train, root / "corpus"


def test_an_export_is_checked_on_both_tracks_and_says_which_it_serves(trained, tmp_path):
    train, corpus = trained
    opened = train(0.5)
    assert opened.served.least_s == 1.0
    folder = export_model(opened, corpus, tmp_path, name="mine")
    about = json.loads((folder / "assets.extra" / "model.json").read_text())
    assert about["tracks"] == ["blind", "adapted"]
    by_track = [
        set(values) >= {"blind track", "adapted track"} for values in about["checked"].values()
    ]
    assert sum(by_track) == 8
    card = (folder / "assets.extra" / "model_card.md").read_text()
    assert "Tracks: blind and adapted." in card
    for track, scores in opened.record["tracks"].items():
        assert f"| this model's test part | {track} | {100 * scores['ua']:.1f} |" in card


@pytest.mark.parametrize("name", ["_moments", "_moment"])
def test_an_export_whose_statistics_are_not_those_of_training_is_not_published(
    name, trained, tmp_path, monkeypatch
):
    train, corpus = trained
    opened = train(0.5)
    right = getattr(speaker_signatures, name)
    monkeypatch.setattr(speaker_signatures, name, lambda *values: 0.9 * right(*values))
    with pytest.raises(ExportError, match=r"served adapted track are .* nothing was published"):
        export_model(opened, corpus, tmp_path)
    assert versions(tmp_path / "attention_cnn") == []


def test_a_model_trained_for_the_blind_track_alone_takes_no_enrolment(trained, tmp_path):
    train, corpus = trained
    folder = export_model(train(1.0), corpus, tmp_path)
    about = json.loads((folder / "assets.extra" / "model.json").read_text())
    assert about["tracks"] == ["blind"]
    assert all(
        np.isfinite(list(v.values())).all() and "adapted track" not in v
        for v in about["checked"].values()
    )
    assert "takes no enrolment" in (folder / "assets.extra" / "model_card.md").read_text()
    model = LoadedModel(folder)
    assert set(model.signatures) & {"enrol", "adapted"} == set()
    model.close()


def test_a_model_that_knows_only_enrolled_speakers_is_not_exported_by_itself(trained, tmp_path):
    train, corpus = trained
    with pytest.raises(ConfigError, match=r"for the adapted track alone .* ser ensemble"):
        export_model(train(0.0), corpus, tmp_path)
    assert not (tmp_path / "attention_cnn").exists()
