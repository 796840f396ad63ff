"""The features of each module of this folder, opened, and their folds."""

import pytest

from ser_keras.data.feature_set import FeatureSet
from ser_keras.protocols import build_protocol


@pytest.fixture(scope="module")
def feature_set(features):
    return FeatureSet.open(features)


@pytest.fixture(scope="module")
def protocol(feature_set):
    return build_protocol("synthetic-loso", feature_set.rows)
