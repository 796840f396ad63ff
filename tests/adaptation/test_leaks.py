"""Roads by which the test part could reach a model that normalises by speaker."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from ser_keras.adaptation.speakers import affine_of
from ser_keras.audio import write_wav
from ser_keras.audio.reading import read_audio
from ser_keras.config import config_from_dict
from ser_keras.corpora.synthetic import write_corpus
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import LeakageError, SchemaError
from ser_keras.experiments.calibration import calibrate_run
from ser_keras.experiments.crossval import run_crossval
from ser_keras.features.specs import get_spec
from ser_keras.protocols import Protocol, build_protocol
from ser_keras.training.fold_parts import FoldParts
from ser_keras.training.trainer import FoldTrainer
from tests.adaptation.test_tracks import RECIPE

CONFIG = config_from_dict(RECIPE | {"epochs": 1})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech") / "corpus"
    return write_corpus(folder, num_speakers=4, utterances_per_class=2, seed=0)


def features_of(corpus, output):
    from pipeline.features.job import build_feature_set

    return FeatureSet.open(
        build_feature_set("synthetic", corpus, get_spec("mel64-prosody"), output)
    )


@pytest.fixture(scope="module")
def prosody_set(corpus, tmp_path_factory):
    return features_of(corpus, tmp_path_factory.mktemp("features") / "f")


@pytest.fixture(scope="module")
def protocol(prosody_set):
    return build_protocol("synthetic-loso", prosody_set.rows)


@pytest.fixture(scope="module")
def fold(protocol):
    return protocol.folds[0]


@pytest.fixture(scope="module")
def run(prosody_set, protocol, fold, tmp_path_factory):
    output = tmp_path_factory.mktemp("run")
    run_crossval({"tiny": CONFIG}, prosody_set, protocol, output, folds=[fold.name])
    return output


@pytest.fixture(scope="module")
def other_labels(prosody_set, fold):
    """The same features; the test part has its labels in another order."""
    label_of = {row.key: row.label for row in prosody_set.rows}
    shifted = dict(zip(fold.test, [label_of[key] for key in np.roll(fold.test, 3)], strict=True))
    rows = tuple(replace(row, label=shifted.get(row.key, row.label)) for row in prosody_set.rows)
    assert sum(a.label != b.label for a, b in zip(rows, prosody_set.rows, strict=True)) > 4
    return replace(prosody_set, rows=rows)


@pytest.fixture(scope="module")
def other_speech(corpus, prosody_set, fold, tmp_path_factory):
    """The same corpus; the recordings of the test part are louder, and backwards."""
    root = tmp_path_factory.mktemp("other")
    shutil.copytree(corpus, root / "corpus")
    tested = {row.speaker for row in prosody_set.rows if row.key in fold.test}
    paths = [p for p in (root / "corpus").rglob("*.wav") if any(s in p.stem for s in tested)]
    assert len(paths) == len(fold.test)
    for path in paths:
        write_wav(path, np.clip(3 * read_audio(path)[::-1], -1, 1))
    return features_of(root / "corpus", root / "features")


def scores_of(run, fold):
    folder = run / "folds" / fold.name
    return {name: np.load(folder / name) for name in ("scores.npz", "scores-blind.npz")}


def record_of(run, fold):
    return json.loads((run / "folds" / fold.name / "fold.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_no_label_of_the_test_part_reaches_weights_or_enrolment(
    run, fold, protocol, other_labels, tmp_path
):
    run_crossval({"tiny": CONFIG}, other_labels, protocol, tmp_path, folds=[fold.name])
    assert record_of(tmp_path, fold)["weights_sha256"] == record_of(run, fold)["weights_sha256"]
    assert record_of(tmp_path, fold)["ua"] != record_of(run, fold)["ua"]
    for name, scores in scores_of(run, fold).items():
        others = scores_of(tmp_path, fold)[name]
        assert (scores["classes"] != others["classes"]).any()
        np.testing.assert_array_equal(scores["probabilities"], others["probabilities"])


@pytest.mark.slow
def test_no_recording_of_the_test_part_reaches_normalisers_or_weights(
    run, fold, protocol, prosody_set, other_speech, tmp_path
):
    def prepared(feature_set, folder):
        trainer = FoldTrainer(CONFIG, feature_set, protocol.class_set, fold, folder)
        return trainer.prepare().model

    models = [prepared(prosody_set, tmp_path / "a"), prepared(other_speech, tmp_path / "b")]
    for layer in ("normalizer", "functional_normalizer"):
        for value, other in zip(*(affine_of(model, layer) for model in models), strict=True):
            np.testing.assert_array_equal(value, other)
    run_crossval({"tiny": CONFIG}, other_speech, protocol, tmp_path / "run", folds=[fold.name])
    record = record_of(tmp_path / "run", fold)
    assert record["weights_sha256"] == record_of(run, fold)["weights_sha256"]
    own, others = scores_of(run, fold), scores_of(tmp_path / "run", fold)
    for name in own:
        assert np.abs(own[name]["probabilities"] - others[name]["probabilities"]).max() > 1e-3


def test_normalisers_that_see_the_test_part_are_refused(
    fold, protocol, prosody_set, tmp_path, monkeypatch
):
    # The frames' normaliser and the functionals' are fitted on these.
    leaky = property(lambda parts: (*parts.own_keys, parts.fold.test[0]))
    monkeypatch.setattr(FoldParts, "train_keys", leaky)
    trainer = FoldTrainer(CONFIG, prosody_set, protocol.class_set, fold, tmp_path)
    with pytest.raises(LeakageError, match=r"train and test"):
        trainer.run()
    assert not (tmp_path / "fold.json").exists()


@pytest.mark.slow
def test_the_temperature_knows_nothing_of_the_test_part(
    run, fold, protocol, prosody_set, other_labels, tmp_path
):
    shutil.copytree(run, tmp_path / "run")
    own = calibrate_run(tmp_path / "run", prosody_set)["folds"][fold.name]
    shutil.copytree(run, tmp_path / "again")
    other = calibrate_run(tmp_path / "again", other_labels)["folds"][fold.name]
    assert own == other


@pytest.mark.slow
def test_a_temperature_is_not_fitted_by_another_division_than_the_training_had(
    run, fold, prosody_set, protocol, tmp_path
):
    shutil.copytree(run, tmp_path / "run")
    # The test speaker among those who fit the temperature.
    leaky = replace(fold, valid=(*fold.valid, *fold.test[:4]), test=fold.test[4:])
    folds = tuple(leaky if f.name == fold.name else f for f in protocol.folds)
    (tmp_path / "run" / "protocol.json").unlink()
    replace(protocol, folds=folds).save(tmp_path / "run" / "protocol.json")
    assert Protocol.load(tmp_path / "run" / "protocol.json").folds[0].valid == leaky.valid
    with pytest.raises(SchemaError, match="another fold"):
        calibrate_run(tmp_path / "run", prosody_set)
