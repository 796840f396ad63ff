"""Finished runs of two systems on the same folds, trained for one epoch, once per session."""

from types import SimpleNamespace

import pytest

from ser_keras.config import config_from_dict
from ser_keras.experiments.crossval import run_crossval

FOLDS = ("speaker-s01", "speaker-s02")
ADAPTED = {
    "spec": "mel64-prosody",
    "epochs": 1,
    "select": "last",
    "normalizer": "speaker",
    "adaptation": {"blind_share": 0.5, "speakers": 2, "least_s": 1.0},
    "model": {
        "name": "attention_cnn",
        "options": {"filters": [4, 4], "pool_after": [1], "speaker": {"average_frames": 2}},
    },
    "batch": {"size": 8},
}
BLIND = {
    "spec": "logmel23",
    "epochs": 1,
    "select": "validation",
    "model": {"name": "moma", "options": {"units": 4, "attention_units": 4}},
    "batch": {"size": 8},
}


@pytest.fixture(scope="session")
def pool(tmp_path_factory):
    """Runs of two seeds of an adapted CNN and of a blind MOMA, with features and protocol.

    `alone` is the run of a CNN that was made for the adapted track alone.
    """
    from pipeline.features.job import build_feature_set
    from ser_keras.corpora.synthetic import write_corpus
    from ser_keras.data.feature_set import FeatureSet
    from ser_keras.features.specs import get_spec
    from ser_keras.protocols import build_protocol

    root = tmp_path_factory.mktemp("pool")
    corpus = write_corpus(root / "corpus", num_speakers=4, utterances_per_class=2, seed=0)
    sets = {}
    for spec in ("mel64-prosody", "logmel23"):
        build_feature_set("synthetic", corpus, get_spec(spec, trim_db=40), root / spec)
        sets[spec] = FeatureSet.open(root / spec)
    protocol = build_protocol("synthetic-loso", sets["logmel23"].rows)
    recipes = {"cnn-0": ADAPTED | {"seed": 0}, "cnn-1": ADAPTED | {"seed": 1}, "moma": BLIND}
    recipes["alone"] = ADAPTED | {
        "seed": 2,
        "adaptation": ADAPTED["adaptation"] | {"blind_share": 0},
    }
    for name, recipe in recipes.items():
        config = config_from_dict(recipe)
        run_crossval({name: config}, sets[config.spec], protocol, root / name, folds=FOLDS)
    return SimpleNamespace(
        root=root,
        corpus=corpus,
        sets=list(sets.values()),
        protocol=protocol,
        runs=[root / name for name in recipes if name != "alone"],
        alone=root / "alone",
    )
