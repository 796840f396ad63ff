"""The adapted track over gRPC, with real recordings of a speaker that training has not met."""

import shutil

import numpy as np
import pytest

from pipeline.features.job import build_feature_set
from ser_keras.config import config_from_dict
from ser_keras.data.feature_set import FeatureSet
from ser_keras.data.part import UNLABELLED, FoldPart
from ser_keras.experiments.crossval import run_crossval
from ser_keras.features.specs import get_spec
from ser_keras.protocols import build_protocol
from ser_keras.training.predict import predict
from serving.client.client import SerClient
from serving.export.export import export_model
from serving.export.trained_model import open_run
from serving.server.config_files import ModelEntry
from serving.server.server import Server, ServerOptions
from tests.serving import adapted

pytestmark = [pytest.mark.realdata, pytest.mark.slow]

# Every emotion that one of them is tested on is among the recordings of the others.
SPEAKERS = ("03", "09", "13")
RECIPE = {
    "spec": "mel64-prosody",
    "epochs": 2,
    "select": "last",
    "normalizer": "speaker",
    "adaptation": {"speakers": 2},
    "batch": {"size": 16},
    "optimizer": {"name": "adamw", "learning_rate": 2e-3},
}
ENROLLED_S = 30.0


@pytest.fixture(scope="module")
def trained(real_data, tmp_path_factory):
    """(a fold of two speakers against a third, opened for export; folder of their recordings)."""
    root = tmp_path_factory.mktemp("real")
    (root / "corpus" / "wav").mkdir(parents=True)
    for path in (real_data / "emodb-2s" / "wav").iterdir():
        if path.name.startswith(SPEAKERS):
            shutil.copy(path, root / "corpus" / "wav")
    spec = get_spec("mel64-prosody")
    build_feature_set("emodb", root / "corpus", spec, root / "features", allow_partial=True)
    feature_set = FeatureSet.open(root / "features")
    protocol = build_protocol("emodb-loso", feature_set.rows, class_set="emodb7")
    options = {"filters": [16, 16], "pool_after": [1]}
    speaker = {"average_frames": 2, "functionals": adapted.functionals_count()}
    model = {"name": "attention_cnn", "options": options | {"speaker": speaker}}
    fold = protocol.folds[0].name
    recipes = {"x": config_from_dict(RECIPE | {"model": model})}
    run_crossval(recipes, feature_set, protocol, root / "run", folds=[fold])
    return open_run(root / "run", root / "features"), root / "corpus"


def test_answers_after_half_a_minute_over_grpc_are_the_offline_adapted_track(trained, tmp_path):
    opened, corpus = trained
    export_model(opened, corpus, tmp_path, name="anyone")
    durations = {row.key: row.duration_s for row in opened.feature_set.rows}
    keys: list[str] = []
    for key in sorted(opened.checked_keys):
        if sum(durations[other] for other in keys) < ENROLLED_S:
            keys.append(key)
    part = FoldPart(opened.feature_set, dict.fromkeys(keys, UNLABELLED))
    by_track = {
        track: predict(opened.model, part, opened.config.batch, track).probabilities
        for track in ("blind", "adapted")
    }
    assert np.abs(by_track["adapted"] - by_track["blind"]).max() > 0.01

    paths = [corpus / "wav" / f"{key.split('/')[-1]}.flac" for key in keys]
    server = Server([ModelEntry("anyone", tmp_path / "anyone")], ServerOptions(port=0))
    server.start()
    with SerClient(f"localhost:{server.port}", "anyone", timeout_s=300) as client:
        statistics = client.enrol(paths)
        served = {
            "blind": [client.predict(path) for path in paths],
            "adapted": [client.predict(path, statistics=statistics) for path in paths],
        }
    server.stop()
    assert statistics.values["functional_statistics"][0] == len(keys)
    for track, predictions in served.items():
        assert {prediction.track for prediction in predictions} == {track}
        probabilities = [list(prediction.probabilities.values()) for prediction in predictions]
        np.testing.assert_allclose(probabilities, by_track[track], atol=1e-4)
