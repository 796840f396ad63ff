"""A small real feature set: synthetic speech through the real Beam job, once per session."""

import pytest


@pytest.fixture(scope="session")
def features(tmp_path_factory):
    """Output folder of the feature job on a small synthetic corpus."""
    from pipeline.features.job import build_feature_set
    from ser_keras.corpora.synthetic import write_corpus
    from ser_keras.features.specs import get_spec

    root = tmp_path_factory.mktemp("training")
    corpus = write_corpus(root / "corpus", num_speakers=4, utterances_per_class=3, seed=0)
    build_feature_set("synthetic", corpus, get_spec("spectrogram200"), root / "features")
    return root / "features"


@pytest.fixture(scope="session")
def feature_set(features):
    """The same, opened."""
    from ser_keras.data.feature_set import FeatureSet

    return FeatureSet.open(features)


@pytest.fixture(scope="session")
def protocol(feature_set):
    """Leave one speaker out, on it."""
    from ser_keras.protocols import build_protocol

    return build_protocol("synthetic-loso", feature_set.rows)
