"""A model that is trained on everyone: what it trains on, what it lacks, and how it is exported."""

import json
from dataclasses import replace

import pytest

from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError
from ser_keras.experiments.everyone import EVERYONE, everyone, train_on_everyone
from ser_keras.protocols import build_protocol
from serving.export.export import export_model
from serving.export.trained_model import open_run
from tests.serving.export.test_adapted_export import recipe
from tests.small_features import write_features


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """(features, protocol, folder of the corpus)."""
    root = tmp_path_factory.mktemp("everyone")
    features = write_features(root, "mel64-prosody", 2)
    protocol = build_protocol("synthetic-loso", FeatureSet.open(features).rows)
    return features, protocol, root / "corpus"


def test_every_utterance_is_trained_on_and_none_is_tested(corpus):
    features, protocol, _ = corpus
    (fold,) = everyone(protocol).folds
    assert set(fold.train) == {row.key for row in FeatureSet.open(features).rows}
    assert (fold.name, fold.valid, fold.test) == (EVERYONE, (), ())


def test_a_recipe_that_needs_validation_speakers_is_refused(corpus, tmp_path):
    features, protocol, _ = corpus
    config = replace(recipe(0.5), select="validation")
    with pytest.raises(ConfigError, match="Pass --set select=last"):
        train_on_everyone("x", config, FeatureSet.open(features), protocol, tmp_path / "run")


@pytest.mark.slow
def test_it_is_exported_with_what_others_say_of_it(corpus, tmp_path):
    features, protocol, recordings = corpus
    run = tmp_path / "run"
    record = train_on_everyone("x", recipe(0.5), FeatureSet.open(features), protocol, run)
    assert record["sizes"]["train"] == len(everyone(protocol).folds[0].train)
    assert record["sizes"]["test"] == 0
    assert "ua" not in record
    assert not (run / "result.json").exists()
    opened = open_run(run, features)
    folder = export_model(opened, recordings, tmp_path / "models", name="untested")
    card = (folder / "assets.extra" / "model_card.md").read_text()
    assert "nobody was left to test it on" in card
    scores = {"ua": 0.7, "ua_interval": [0.6, 0.8], "female": 0.75}
    row = {"corpus": "a", "title": "A (Dutch)", "speakers": 3, "recordings": 40}
    row |= {"blind": scores, "adapted": scores | {"ua": 0.81}}
    worth = {
        "data": "acted speech of 9 people, in Dutch",
        "licence": "for research",
        "new_corpora": [row],
        "new_speakers": [row],
        "conditions": [{"condition": "clean", "blind": 0.7, "adapted": 0.81}],
    }
    folder = export_model(opened, recordings, tmp_path / "models", name="known", worth=worth)
    about = json.loads((folder / "assets.extra" / "model.json").read_text())
    assert about["worth"] == worth
    card = (folder / "assets.extra" / "model_card.md").read_text()
    assert "Acted speech of 9 people, in Dutch." in card
    assert "| A (Dutch) | 3 | 40 | adapted | 81.0 | 60.0 – 80.0 | 75.0 | - |" in card


def test_everyone_is_not_trained_on_several_devices(ser, features, tmp_path):
    line = ["train", "--features", features, "--protocol", "synthetic-loso", "--fold", EVERYONE]
    code, _, err = ser(*line, "--output", tmp_path, "--strategy", "mirrored")
    assert code == ConfigError.exit_code
    assert f"--fold {EVERYONE}: trains in one process. Leave out --strategy." in err
