"""A tiny real export with a matching run, features and corpus."""

import json

import numpy as np

from pipeline.features.corpus_artifact import write_corpus as write_artifact
from pipeline.features.job import build_feature_set
from pipeline.features.recordings import list_recordings
from ser_keras.corpora.synthetic import write_corpus
from ser_keras.data.example import decode_example
from ser_keras.data.feature_set import FeatureSet
from ser_keras.data.record_files import read_framed
from ser_keras.features.specs import get_spec
from ser_keras.training.checkpoint import weights_sha256
from serving.export.checks import keras_probabilities
from tests.pipeline.runs import write_run
from tests.serving import exports

FOLD = "speaker-s01"


def make(root):
    """Returns (version, run, features, corpus's artifact) of a small MOMA with random weights."""
    corpus = write_corpus(root / "corpus", num_speakers=2, utterances_per_class=2, seed=0)
    features = build_feature_set(
        "synthetic", corpus, get_spec("logmel23", trim_db=40), root / "features", num_shards=2
    )
    served = exports.small("moma")
    version = exports.publish(served, root / "models" / "moma")
    about = {"name": "moma", "fold": FOLD, "weights_sha256": weights_sha256(served.model)}
    about["sample_rate_hz"] = exports.RATE
    (version / "assets.extra" / "model.json").write_text(json.dumps(about))
    feature_set = FeatureSet.open(features)
    stored = dict(decode_example(r) for path in feature_set.shard_paths for r in read_framed(path))
    rows = feature_set.rows
    probabilities = np.array([keras_probabilities(served, stored[row.key]) for row in rows])
    run = write_run(root / "run", rows, probabilities, FOLD, about["weights_sha256"])
    artifact = root / "artifact"
    artifact.mkdir()
    recordings = list_recordings("synthetic", corpus)
    write_artifact(artifact, "synthetic", str(corpus), False, recordings)
    return version, run, features, artifact


def weights(version):
    """The hash of the weights that an export says it has."""
    return json.loads((version / "assets.extra" / "model.json").read_text())["weights_sha256"]
