"""A small real feature set: synthetic speech through the real Beam job, once per session."""

import pytest


def write_features(folder, spec, utterances_per_class):
    """Returns the output folder of the feature job on synthetic speech of four speakers."""
    from pipeline.features.job import build_feature_set
    from ser_keras.corpora.synthetic import write_corpus
    from ser_keras.features.specs import get_spec

    corpus = write_corpus(
        folder / "corpus", num_speakers=4, utterances_per_class=utterances_per_class, seed=0
    )
    build_feature_set("synthetic", corpus, get_spec(spec), folder / "features")
    return folder / "features"


@pytest.fixture(scope="session")
def features(tmp_path_factory):
    """Output folder of the feature job on a small synthetic corpus."""
    return write_features(tmp_path_factory.mktemp("training"), "spectrogram200", 3)


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
