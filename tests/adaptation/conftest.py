"""A small run of both tracks, trained once for all tests of this folder."""

import pytest

from tests.small_features import write_features


@pytest.fixture(scope="session")
def prosody_set(tmp_path_factory):
    """Features of four speakers with prosody."""
    from ser_keras.data.feature_set import FeatureSet

    folder = tmp_path_factory.mktemp("prosody")
    return FeatureSet.open(write_features(folder, "mel64-prosody", 2))


@pytest.fixture(scope="session")
def run(prosody_set, tmp_path_factory):
    """The folder of a finished fold, its configuration and its fold."""
    from ser_keras.config import config_from_dict
    from ser_keras.experiments.crossval import run_crossval
    from ser_keras.protocols import build_protocol
    from tests.adaptation.test_tracks import RECIPE

    protocol = build_protocol("synthetic-loso", prosody_set.rows)
    output, fold = tmp_path_factory.mktemp("run"), protocol.folds[0]
    config = config_from_dict(RECIPE)
    run_crossval({"two-tracks": config}, prosody_set, protocol, output, folds=[fold.name])
    return output, config, fold


@pytest.fixture(scope="session")
def model(run):
    """The model of that fold."""
    from ser_keras.models import load_model

    output, config, fold = run
    return load_model(output / "folds" / fold.name / "model.keras", config.model.name)
