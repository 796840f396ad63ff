"""Joint training: a classifier over the classes of several corpora, and what a fold leaves out."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ser_keras.adaptation.batches import joint_steps
from ser_keras.adaptation.utterances import SpeakerPart
from ser_keras.config import config_from_dict
from ser_keras.data.feature_set import FeatureSet
from ser_keras.data.part import FoldPart
from ser_keras.data.union_classes import UnionClasses
from ser_keras.errors import ConfigError, LeakageError
from ser_keras.experiments.crossval import run_crossval
from ser_keras.labels import CLASS_SETS
from ser_keras.models import load_model
from ser_keras.models.objectives import cross_entropy
from ser_keras.protocols import build_protocol
from ser_keras.training.fold_parts import FoldParts
from ser_keras.training.fold_training import FoldTraining
from ser_keras.training.further_speech import FurtherSpeech
from tests.adaptation.test_tracks import RECIPE
from tests.small_features import write_features

CONFIG = config_from_dict(RECIPE | {"adaptation": RECIPE["adaptation"] | {"joint_share": 0.4}})


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    return FeatureSet.open(write_features(tmp_path_factory.mktemp("own"), "mel64-prosody", 2))


@pytest.fixture(scope="module")
def other(own):
    """The same people and recordings under the name of another corpus, bored instead of sad."""
    rows = [
        replace(row, corpus="other", label={"sad": "bored"}.get(row.label, row.label))
        for row in own.rows
    ]
    return replace(own, rows=rows)


@pytest.fixture(scope="module")
def protocol(own):
    return build_protocol("synthetic-loso", own.rows)


def test_the_union_begins_with_the_classes_of_the_experiment():
    union = UnionClasses.of(CLASS_SETS["iemocap4"], ["sad", "excited", "calm", "bored", "calm"])
    assert [union.index(label) for label in ("angry", "sad", "bored", "calm")] == [0, 3, 4, 5]
    assert union.of_corpus(["sad", "excited", "calm"]).tolist() == [0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_softmax_runs_over_the_classes_of_the_utterances_corpus(smoothing):
    rng = np.random.default_rng(5)
    logits, possible = rng.normal(size=(4, 5)), np.array([1, 0, 1, 1, 0], bool)
    one_hot = np.eye(3)[[0, 2, 1, 1]]
    targets = np.full((4, 5), -1.0)
    targets[:, possible] = one_hot
    own = logits[:, possible]
    probabilities = np.exp(own) / np.exp(own).sum(axis=1, keepdims=True)
    smoothed = (1 - smoothing) * one_hot + smoothing / 3
    expected = -(smoothed * np.log(probabilities)).sum(axis=1)
    np.testing.assert_allclose(
        np.asarray(cross_entropy(targets, logits, smoothing)), expected, rtol=1e-5
    )


def test_joint_recordings_get_the_mean_and_deviation_of_the_folds_own(own):
    keys = [row.key for row in own.rows]
    like = SpeakerPart(FoldPart(own, dict.fromkeys(keys[:20], 0)), with_functionals=True)
    joint = SpeakerPart(FoldPart(own, dict.fromkeys(keys[20:], 0)), True, like)
    for values, expected in (
        (np.concatenate(joint.features), np.concatenate(like.features)),
        (joint.functionals, like.functionals),
    ):
        varies = expected.std(axis=0) > 1e-3
        scale = expected.std(axis=0)[varies]
        difference = (values.mean(axis=0) - expected.mean(axis=0))[varies]
        np.testing.assert_allclose(difference / scale, 0.0, atol=1e-3)
    deviations = np.concatenate(joint.features).std(axis=0)
    np.testing.assert_allclose(deviations, np.concatenate(like.features).std(axis=0), rtol=1e-3)


@pytest.fixture(scope="module")
def training(own, other, protocol, tmp_path_factory):
    """The training of a fold on both corpora, and its parts."""
    further = FurtherSpeech(own, (), (other,))
    parts = FoldParts(CONFIG, own, protocol.class_set, protocol.folds[0], further)
    return parts, FoldTraining(parts, tmp_path_factory.mktemp("joint"), parts.identity())


def test_an_epoch_has_all_own_batches_and_the_share_of_joint_ones(training):
    parts, fold_training = training
    batches = list(fold_training.batches.epoch(0))
    own_steps = -(-len(parts.own_keys) // CONFIG.batch.size)
    assert len(batches) == joint_steps(own_steps, 0.4)
    of_joint = [bool((targets.numpy()[:, -1] >= 0).all()) for _, targets, _ in batches]
    assert sum(of_joint) == len(batches) - own_steps
    sad = parts.class_set.index("sad")
    for (_, targets, _), joint in zip(batches, of_joint, strict=True):
        impossible = targets.numpy() < 0
        assert impossible[:, sad].all() == joint
        assert (targets.numpy().max(axis=1) == 1).all()
    again = list(fold_training.batches.epoch(0))
    for (one, _, _), (two, _, _) in zip(batches, again, strict=True):
        np.testing.assert_array_equal(one["features"], two["features"])


def test_a_fold_leaves_out_test_speakers_and_their_recordings_of_a_joint_set(training, own, other):
    parts, _ = training
    speakers = {row.speaker for row in own.rows if row.key in parts.fold.test}
    trained_on = {row.speaker for row in other.rows if row.key in parts.joint[0].keys}
    assert trained_on
    assert not trained_on & speakers
    assert sum(map(len, parts.joint[0].dropped.values())) == len(parts.fold.test)
    record = parts.joint[0].facts()
    assert record["trained_on"] == len(parts.joint[0].keys)


def test_a_joint_set_of_test_speakers_alone_is_refused(own, other, protocol):
    fold = protocol.folds[0]
    leak = replace(other, rows=[row for row in other.rows if row.key in fold.test])
    with pytest.raises(LeakageError, match=r"nothing to train on in the joint set"):
        FoldParts(CONFIG, own, protocol.class_set, fold, FurtherSpeech(own, (), (leak,)))


def test_what_is_saved_has_the_classes_of_the_experiment_alone(own, other, protocol, tmp_path):
    fold = protocol.folds[0]
    result = run_crossval(
        {"joint": CONFIG}, own, protocol, tmp_path, folds=[fold.name], joint_sets=[other]
    )
    path = tmp_path / "folds" / fold.name
    model = load_model(path / "model.keras", CONFIG.model.name)
    assert model.output["logits"].shape[-1] == len(protocol.class_set.classes)
    assert "other_logits" not in model.output
    record = json.loads((path / "fold.json").read_text(encoding="utf-8"))
    assert record["joint_sets"][0]["trained_on"] == record["sizes"]["joint"] > 0
    assert any("leaves out" in finding["message"] for finding in result["audit"])


@pytest.mark.parametrize(
    ("share", "model", "sets", "message"),
    [
        (0.0, "attention_cnn", 1, "without a share"),
        (0.4, "attention_cnn", 0, "there is no joint set"),
        (0.4, "sparse_autoencoder", 1, "cross-entropy alone"),
    ],
)
def test_a_share_and_joint_sets_belong_together(own, other, protocol, share, model, sets, message):
    config = replace(
        CONFIG,
        model=replace(CONFIG.model, name=model),
        adaptation=replace(CONFIG.adaptation, joint_share=share),
    )
    further = FurtherSpeech(own, (), (other,) * sets)
    with pytest.raises(ConfigError, match=message):
        FoldParts(config, own, protocol.class_set, protocol.folds[0], further)
