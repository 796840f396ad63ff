"""From an ensemble on disk to one export of all its members, checked on both tracks."""

import json

import numpy as np
import pytest

from ser_keras.errors import ConfigError, ExportError
from ser_keras.experiments.calibration import FILE
from ser_keras.experiments.ensemble import run_ensemble
from ser_keras.files import write_json
from serving.export.ensembles.export import export_ensemble
from serving.export.ensembles.opened import open_ensemble
from serving.export.ensembles.signatures import EnsembleModule
from serving.export.layout import versions
from serving.server.session import LoadedModel
from tests.serving import exports
from tests.small_runs import FOLDS

pytestmark = pytest.mark.slow
TEMPERATURE = 2.0


@pytest.fixture(scope="module")
def ensemble(pool, tmp_path_factory):
    """An ensemble of two adapted members and a blind one, with a temperature."""
    output = tmp_path_factory.mktemp("ensemble") / "all"
    run_ensemble(pool.runs, pool.sets, output, weights=[2, 1, 1], folds=FOLDS[:1])
    record = json.loads((output / "folds" / FOLDS[0] / "fold.json").read_text())
    facts = {"temperature": TEMPERATURE, "fitted_on": "nothing, for a test"}
    weights = {"weights_sha256": record["weights_sha256"]}
    write_json(output / FILE, {"folds": {FOLDS[0]: facts | weights}})
    return output


def paths(pool):
    return [given.path for given in pool.sets]


def test_one_export_answers_as_the_stored_scores_of_the_ensemble(ensemble, pool, tmp_path, ser):
    from ser_keras.audio import read_audio
    from ser_keras.corpora import read_corpus
    from ser_keras.metrics import with_temperature

    opened = open_ensemble(ensemble, paths(pool))
    folder = export_ensemble(opened, pool.corpus, tmp_path)
    assert folder == tmp_path / "ensemble" / "1"
    about = json.loads((folder / "assets.extra" / "model.json").read_text())
    assert about["tracks"] == ["blind", "adapted"]
    assert [member["name"] for member in about["members"]] == ["cnn-0", "cnn-1", "moma"]
    assert sum({"blind track", "adapted track"} <= set(v) for v in about["checked"].values()) > 3
    card = (folder / "assets.extra" / "model_card.md").read_text()
    assert "- `moma`: moma, weight 0.250, tracks blind" in card
    assert "Its best single member" in card
    with np.load(ensemble / "folds" / FOLDS[0] / "scores-blind.npz") as file:
        expected = dict(
            zip(
                file["keys"].tolist(),
                with_temperature(file["probabilities"], TEMPERATURE),
                strict=True,
            )
        )
    audio_of = {
        utterance.key: utterance.path for utterance in read_corpus("synthetic", pool.corpus)
    }
    loaded = LoadedModel(folder)
    for key in list(expected)[:3]:
        inputs = exports.batch([read_audio(audio_of[key], sample_rate_hz=exports.RATE)])
        answer = loaded.run("serving_default", inputs)["probabilities"][0]
        np.testing.assert_allclose(answer, expected[key], atol=1e-4)
    loaded.close()
    recording = next(iter(audio_of.values()))
    code, _, error = ser("explain", recording, "--model", folder, "--output", tmp_path / "maps")
    assert code == 0, error
    assert {path.suffix for path in (tmp_path / "maps").iterdir()} == {".png", ".svg", ".json"}


def test_an_export_with_other_weights_in_the_mean_is_not_published(
    ensemble, pool, tmp_path, monkeypatch
):
    opened = open_ensemble(ensemble, paths(pool))
    original = EnsembleModule.__init__

    def wrong(self, served):
        original(self, served)
        self.weights = self.weights[::-1].copy()

    monkeypatch.setattr(EnsembleModule, "__init__", wrong)
    with pytest.raises(ExportError, match=r"served .* are .* nothing was published"):
        export_ensemble(opened, pool.corpus, tmp_path)
    assert versions(tmp_path / "ensemble") == []


def test_features_of_a_member_that_are_missing_are_named(ensemble, pool):
    with pytest.raises(ConfigError, match="expected 'logmel23' for the member moma"):
        open_ensemble(ensemble, paths(pool)[:1])
