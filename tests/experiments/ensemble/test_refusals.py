"""Runs that have no honest mean are refused, each with a sentence."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ser_keras.errors import ConfigError, LeakageError, SchemaError
from ser_keras.experiments.crossval import run_crossval
from ser_keras.experiments.ensemble import calibrate_ensemble, evaluate_ensemble, run_ensemble
from ser_keras.experiments.evaluate import open_fold
from ser_keras.files import write_json
from ser_keras.training.further_speech import FurtherSpeech
from ser_keras.training.trainer import FoldTrainer
from tests.small_runs import BLIND, FOLDS

pytestmark = pytest.mark.slow


def change(path, **values):
    write_json(path, json.loads(path.read_text(encoding="utf-8")) | values)


def refuse(pool, tmp_path, runs, error, sentence, **options):
    with pytest.raises(error, match=sentence):
        run_ensemble(runs, options.pop("sets", pool.sets), tmp_path / "out", **options)
    assert not (tmp_path / "out" / "result.json").exists()


def test_one_run_or_a_run_twice_is_no_ensemble(pool, copied, tmp_path):
    refuse(pool, tmp_path, pool.runs[:1], ConfigError, "found 1 run, expected two or more")
    refuse(pool, tmp_path, [pool.runs[0]] * 2, ConfigError, "given twice")
    aside = pool.runs[0].parent / "." / pool.runs[0].name
    refuse(pool, tmp_path, [pool.runs[0], aside], ConfigError, "given twice")
    copies = [pool.runs[0], copied(0)]
    refuse(pool, tmp_path, copies, ConfigError, "the same weights as in .* another --set seed=")


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ([1, 2, 3], "found 3 numbers, expected 2"),
        ([1, 0], "found 0, expected numbers above 0"),
        ([1, float("nan")], "found nan, expected numbers above 0"),
        ([1, float("inf")], "found inf, expected numbers above 0"),
    ],
)
def test_weights_are_one_positive_number_for_each_run(pool, tmp_path, weights, sentence):
    refuse(pool, tmp_path, pool.runs[:2], ConfigError, sentence, weights=weights)


def test_what_has_not_ended_or_is_no_run_is_refused(pool, copied, tmp_path):
    run = copied(1)
    (run / "result.json").unlink()
    refuse(pool, tmp_path, [pool.runs[0], run], ConfigError, "has ended. Run it to the end first")
    refuse(pool, tmp_path, [pool.runs[0], tmp_path], ConfigError, "found no result.json")
    ensemble = tmp_path / "ensemble"
    run_ensemble(pool.runs[:2], pool.sets, ensemble)
    refuse(pool, tmp_path, [pool.runs[2], ensemble], ConfigError, "Give its members instead")
    with pytest.raises(ConfigError, match="is an ensemble and has no model of its own"):
        open_fold(ensemble, pool.sets[0].path, FOLDS[0])
    with pytest.raises(ConfigError, match="is one of the runs"):
        run_ensemble(pool.runs, pool.sets, pool.runs[0])


def test_a_fold_that_a_member_lacks_is_named(pool, copied, tmp_path):
    run = copied(1)
    (run / "folds" / FOLDS[1] / "fold.json").unlink()
    runs = [pool.runs[0], run]
    refuse(pool, tmp_path, runs, ConfigError, f"found no trained fold {FOLDS[1]}")
    result = run_ensemble(runs, pool.sets, tmp_path / "one", folds=FOLDS[:1])
    assert result["protocol"]["folds_run"] == 1
    refuse(pool, tmp_path, pool.runs, ConfigError, "unknown fold of", folds=["speaker-s10"])


def test_other_folds_and_other_classes_are_refused(pool, copied, tmp_path):
    run = copied(1)
    first, *others = pool.protocol.folds
    moved = replace(first, train=first.train[1:])
    replace(pool.protocol, folds=(moved, *others)).save(run / "protocol.json")
    refuse(pool, tmp_path, [pool.runs[0], run], ConfigError, "found the folds of synthetic-loso")
    classes = replace(
        pool.protocol.class_set, classes=pool.protocol.class_set.classes[::-1], name="reversed"
    )
    replace(pool.protocol, class_set=classes).save(run / "protocol.json")
    refuse(pool, tmp_path, [pool.runs[0], run], ConfigError, "found the classes")


def test_features_of_no_member_and_of_other_utterances_are_refused(pool, tmp_path):
    refuse(
        pool,
        tmp_path,
        pool.runs,
        ConfigError,
        "was trained on features 'logmel23'",
        sets=pool.sets[:1],
    )
    first, second = pool.sets
    key = pool.protocol.folds[0].test[0]
    for other in ({"audio_sha256": "0" * 64}, {"label": "sad"}, {"speaker": "s09"}):
        rows = tuple(replace(row, **other) if row.key == key else row for row in second.rows)
        sets = [first, replace(second, rows=rows)]
        refuse(pool, tmp_path, pool.runs, ConfigError, f"such as {key}", sets=sets)


def test_scores_of_other_utterances_are_refused(pool, copied, tmp_path):
    run = copied(2)
    path = run / "folds" / FOLDS[0] / "scores.npz"
    with np.load(path) as file:
        scores = {name: file[name] for name in file.files}
    np.savez(path, **{name: values[1:] for name, values in scores.items()})
    runs = [pool.runs[0], run]
    refuse(pool, tmp_path, runs, ConfigError, "scores that differ from its test part in 1 utter")
    np.savez(path, **scores | {"classes": scores["classes"][::-1]})
    refuse(pool, tmp_path, runs, ConfigError, "or their classes")


def test_a_member_with_a_finding_that_refuses_it_is_refused(pool, copied, tmp_path):
    run = copied(1)
    finding = {"check": "duplicates", "severity": "fail", "message": "2 copies.", "keys": []}
    change(run / "result.json", audit=[finding])
    refuse(pool, tmp_path, [pool.runs[0], run], LeakageError, "its audit found duplicates: 2 cop")


def test_a_member_that_trained_on_a_test_utterance_of_the_fold_is_refused(pool, copied, tmp_path):
    """A real training with a test utterance in it, put where the honest one was."""
    run = copied(2)
    fold = pool.protocol.folds[0]
    leaked = fold.test[0]
    leaky = replace(fold, train=(*fold.train, leaked), test=fold.test[1:])
    from ser_keras.config import config_from_dict

    folder = run / "folds" / fold.name
    (folder / "fold.json").unlink()
    trainer = FoldTrainer(
        config_from_dict(BLIND), pool.sets[1], pool.protocol.class_set, leaky, folder
    )
    assert leaked in trainer.parts.train_keys
    trainer.run()
    runs = [pool.runs[0], run]
    sentence = "trained on other utterances than this fold .* allows"
    refuse(pool, tmp_path, runs, LeakageError, sentence)
    # Scores of the whole test part do not hide it.
    honest = pool.runs[2] / "folds" / fold.name / "scores.npz"
    (folder / "scores.npz").write_bytes(honest.read_bytes())
    refuse(pool, tmp_path, runs, LeakageError, sentence)


@pytest.fixture(scope="module")
def semi_supervised(tmp_path_factory):
    """Two seeds of an autoencoder that also learned from unlabelled speech of its own corpus."""
    from pipeline.features.job import build_feature_set
    from ser_keras.config import config_from_dict
    from ser_keras.corpora.synthetic import write_corpus
    from ser_keras.data.feature_set import FeatureSet
    from ser_keras.features.specs import get_spec
    from ser_keras.protocols import build_protocol

    root = tmp_path_factory.mktemp("unlabelled")
    corpus = write_corpus(root / "corpus", num_speakers=4, utterances_per_class=2, seed=0)
    feature_set = FeatureSet.open(
        build_feature_set("synthetic", corpus, get_spec("logmel40-deltas"), root / "features")
    )
    protocol = build_protocol("synthetic-loso", feature_set.rows)
    recipe = {
        "spec": "logmel40-deltas",
        "epochs": 1,
        "select": "last",
        "model": {
            "name": "sparse_autoencoder",
            "options": {"encoder_units": 160, "recurrent_units": 2},
        },
    }
    runs = []
    for seed in (0, 1):
        runs.append(root / f"seed-{seed}")
        run_crossval(
            {"tiny": config_from_dict(recipe | {"seed": seed})},
            feature_set,
            protocol,
            runs[-1],
            folds=FOLDS[:1],
            unlabelled_sets=[feature_set],
        )
    return runs, feature_set, protocol, recipe


def test_unlabelled_speech_of_members_is_audited_again(semi_supervised, tmp_path):
    runs, feature_set, *_ = semi_supervised
    with pytest.raises(ConfigError, match=r"also trained on the unlabelled set .* --unlabelled"):
        run_ensemble(runs, [feature_set], tmp_path)
    result = run_ensemble(runs, [feature_set], tmp_path, unlabelled_sets=[feature_set])
    messages = [f["message"] for f in result["audit"] if f["check"] == "unlabelled"]
    assert [message.partition(":")[0] for message in messages] == ["member seed-0", "member seed-1"]


def test_a_member_that_learned_from_unlabelled_test_speech_is_refused(
    semi_supervised, tmp_path, monkeypatch
):
    """A real training that the audit of unlabelled speech was switched off for."""
    import shutil

    from ser_keras.audit import Overlap
    from ser_keras.config import config_from_dict

    runs, feature_set, protocol, recipe = semi_supervised
    leaky = shutil.copytree(runs[1], tmp_path / "leaky")
    fold = protocol.folds[0]
    folder = leaky / "folds" / fold.name
    (folder / "fold.json").unlink()
    with monkeypatch.context() as patched:
        patched.setattr(Overlap, "withheld", lambda self, number, keys: {})
        trainer = FoldTrainer(
            config_from_dict(recipe | {"seed": 1}),
            feature_set,
            protocol.class_set,
            fold,
            folder,
            further=FurtherSpeech(feature_set, (feature_set,)),
        )
        assert set(fold.test) <= set(trainer.parts.unlabelled[0].keys)
        trainer.run()
    with pytest.raises(LeakageError, match=r"other utterances .* \(unlabelled speech"):
        run_ensemble(
            [runs[0], leaky], [feature_set], tmp_path / "out", unlabelled_sets=[feature_set]
        )


def test_a_member_that_was_trained_again_or_is_gone_ends_the_ensemble(pool, copied, tmp_path):
    runs = [copied(0, "a"), copied(1, "b")]
    output = tmp_path / "ensemble"
    run_ensemble(runs, pool.sets, output)
    path = runs[1] / "folds" / FOLDS[0] / "fold.json"
    change(path, weights_sha256="0" * 64)
    for verb in (evaluate_ensemble, calibrate_ensemble):
        with pytest.raises(SchemaError, match="Run ser ensemble again"):
            verb(output, pool.sets, **{"fold": FOLDS[0]} if verb is evaluate_ensemble else {})
    path.unlink()
    with pytest.raises(SchemaError, match="expected the member b"):
        evaluate_ensemble(output, pool.sets, fold=FOLDS[0])
