"""Roads by which test data could reach a fit, apart from unlabelled speech."""

from dataclasses import replace

import numpy as np
import pytest

from ser_keras.config import config_from_dict
from ser_keras.corpora.synthetic import write_corpus
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import LeakageError, SchemaError
from ser_keras.experiments.baseline import run_baselines
from ser_keras.experiments.calibration import calibrate_run
from ser_keras.experiments.crosscorpus import run_crosscorpus
from ser_keras.experiments.crossval import run_crossval
from ser_keras.features.specs import get_spec
from ser_keras.training.trainer import FoldTrainer

CONFIG = config_from_dict(
    {
        "epochs": 1,
        "select": "last",
        "model": {
            "name": "sparse_autoencoder",
            "options": {"encoder_units": 208, "recurrent_units": 2},
        },
        "batch": {"class_weights": True},
    }
)


@pytest.fixture(scope="module")
def trimmed(tmp_path_factory):
    """The same recordings under the same names and the same spec's name, but trimmed."""
    from pipeline.features.job import build_feature_set

    root = tmp_path_factory.mktemp("trimmed")
    corpus = write_corpus(root / "corpus", num_speakers=4, utterances_per_class=3, seed=0)
    spec = get_spec("spectrogram200", trim_db=20)
    return FeatureSet.open(build_feature_set("synthetic", corpus, spec, root / "features"))


@pytest.mark.slow
def test_a_run_is_not_gone_on_with_on_other_features(feature_set, trimmed, protocol, tmp_path):
    folds = [protocol.folds[0].name]
    run_crossval({"tiny": CONFIG}, feature_set, protocol, tmp_path, folds=folds)
    with pytest.raises(SchemaError, match=r"another configuration \(feature set"):
        run_crossval({"tiny": CONFIG}, trimmed, protocol, tmp_path, folds=folds)
    with pytest.raises(SchemaError, match="trained with another feature set"):
        calibrate_run(tmp_path, trimmed)


@pytest.mark.slow
def test_a_corpus_is_not_tested_by_what_was_scored_on_other_features(
    feature_set, trimmed, tmp_path
):
    def named(other, name, *speakers):
        rows = tuple(row for row in other.rows if row.speaker in speakers)
        schema = replace(other.schema, name=name)
        return replace(other, schema=schema, rows=rows)

    one, two = named(feature_set, "one", "s01", "s02"), named(feature_set, "two", "s03", "s04")
    two = replace(two, rows=tuple(replace(row, speaker=f"{row.speaker}x") for row in two.rows))
    run_crosscorpus("tiny", CONFIG, [one, two], tmp_path)
    again = replace(two, manifest=two.manifest | {"fingerprint": "0" * 64})
    with pytest.raises(SchemaError, match=r"another configuration \(features of two"):
        run_crosscorpus("tiny", CONFIG, [one, again], tmp_path)
    with pytest.raises(SchemaError, match=r"trim_db 20\.0 instead of None"):
        run_crosscorpus("tiny", CONFIG, [one, named(trimmed, "two", "s03", "s04")], tmp_path)


@pytest.mark.slow
def test_a_fold_is_not_taken_over_by_another_division(feature_set, protocol, tmp_path):
    first = protocol.folds[0]
    FoldTrainer(CONFIG, feature_set, protocol.class_set, first, tmp_path).run()
    # What was tested by one division may be trained on in another.
    swapped = replace(first, train=first.test, test=first.train)
    with pytest.raises(SchemaError, match=r"another configuration \(fold"):
        FoldTrainer(CONFIG, feature_set, protocol.class_set, swapped, tmp_path).run()


def test_the_baseline_is_audited_like_every_system(feature_set, protocol):
    fold = protocol.folds[0]
    leaky = replace(fold, train=(*fold.train, fold.test[0]))
    with pytest.raises(LeakageError, match=r"duplicates|speakers"):
        run_baselines(feature_set, replace(protocol, folds=(leaky,)))


def test_weights_of_classes_come_from_the_labels_that_train(feature_set, protocol, tmp_path):
    fold = protocol.folds[0]
    label_of = {row.key: row.label for row in feature_set.rows}
    sad = [key for key in fold.train if label_of[key] == "sad"]
    # Another share of classes than the test part has.
    fewer = replace(fold, train=tuple(key for key in fold.train if key not in sad[1:]))
    trainer = FoldTrainer(CONFIG, feature_set, protocol.class_set, fewer, tmp_path)
    weight_of = {}
    for _, targets, weights in trainer.prepare().batches.epoch(0).as_numpy_iterator():
        weight_of |= dict(zip(targets.argmax(axis=1).tolist(), weights.tolist(), strict=True))
    labels = [label_of[key] for key in fewer.train + fewer.valid]
    counts = np.array([labels.count(label) for label in protocol.class_set.classes])
    expected = counts.sum() / (len(counts) * counts)
    weights = [weight_of[index] for index in range(len(counts))]
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
