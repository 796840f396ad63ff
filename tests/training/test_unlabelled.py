import csv
from dataclasses import replace

import numpy as np
import pytest

from ser_keras import plots
from ser_keras.audio import read_audio, write_wav
from ser_keras.config import config_from_dict
from ser_keras.corpora.synthetic import write_corpus
from ser_keras.data.feature_set import FeatureSet
from ser_keras.data.part import FoldPart
from ser_keras.errors import ConfigError, LeakageError, SchemaError
from ser_keras.experiments.calibration import calibrate_run
from ser_keras.experiments.crossval import run_crossval
from ser_keras.experiments.label_curve import run_label_curve
from ser_keras.features.specs import get_spec
from ser_keras.report.summary import describe, label_curve_table
from ser_keras.training.fold_parts import FoldParts
from ser_keras.training.fold_training import FoldTraining
from ser_keras.training.further_speech import FurtherSpeech

MODEL = {
    "name": "sparse_autoencoder",
    "options": {"encoder_units": 208, "recurrent_units": 2},
}


def config_of(**changes):
    return config_from_dict({"epochs": 1, "select": "last", "model": MODEL, **changes})


def build_set(corpus, data_dir, output, **changes):
    from pipeline.features.job import build_feature_set

    spec = get_spec("spectrogram200", **changes)
    return FeatureSet.open(build_feature_set(corpus, data_dir, spec, output, name=output.name))


def features_of(feature_set, keys):
    """The features of some utterances as bytes, which tell them apart from all others."""
    part = FoldPart(feature_set, dict.fromkeys(keys, 0))
    return {frames.tobytes() for frames in part.frames()}


@pytest.fixture
def trained_on(monkeypatch):
    """Fills a set with the features of every utterance that any step of any training saw."""
    seen = set()
    train_epoch = FoldTraining._train_epoch

    def record_and_train(self, number):
        for inputs, _, _ in self.batches.epoch(number).as_numpy_iterator():
            for frames, mask in zip(inputs["features"], inputs["mask"], strict=True):
                seen.add(frames[mask].tobytes())
        return train_epoch(self, number)

    monkeypatch.setattr(FoldTraining, "_train_epoch", record_and_train)
    return seen


@pytest.fixture(scope="module")
def table(feature_set, protocol, tmp_path_factory):
    """A table of the user's: a test recording at another level, three of nobody, one of its own.

    The last one is of the speaker whom the table calls the copied recording's.
    """
    root = tmp_path_factory.mktemp("table")
    first = protocol.folds[0].test[0]
    original = write_corpus(root / "first", num_speakers=4, utterances_per_class=3, seed=0)
    stranger = write_corpus(root / "second", num_speakers=1, utterances_per_class=1, seed=5)
    copied = next(path for path in original.rglob("*.wav") if path.stem == first.split("/")[1])
    others = sorted(stranger.rglob("*.wav"))[:4]
    with open(root / "manifest.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "speaker"])
        for number, (path, gain) in enumerate([(copied, 0.4), *((one, 1.0) for one in others)]):
            write_wav(root / f"{number}.wav", gain * read_audio(path))
            # A speaker's name in the labelled corpus is that of a stranger here.
            writer.writerow([f"{number}.wav", "unknown", "anna" if number in (0, 4) else "s01"])
    return build_set("manifest", root, root / "features")


@pytest.mark.slow
def test_a_fold_trains_on_nothing_of_its_test_speakers_though_its_own_set_is_given(
    feature_set, protocol, tmp_path, trained_on
):
    fold = protocol.folds[0]
    asked = {"tiny": config_of()}
    result = run_crossval(
        asked, feature_set, protocol, tmp_path, folds=[fold.name], unlabelled_sets=[feature_set]
    )
    assert trained_on == features_of(feature_set, fold.train + fold.valid)
    assert trained_on.isdisjoint(features_of(feature_set, fold.test))
    (record,) = result["folds"]
    assert record["sizes"]["dropped_unlabelled"] == len(fold.test)
    assert record["sizes"]["unlabelled"] == len(feature_set.rows) - len(fold.test)
    assert record["unlabelled_sets"][0]["dropped"] == {"name": sorted(fold.test)}
    (finding,) = (one for one in result["audit"] if one["check"] == "unlabelled")
    assert f"leaves out {len(fold.test)} utterances of synthetic" in finding["message"]
    assert f"36 utterances, mean over folds; {len(fold.test)} left out" in describe(result)
    # Without the set it is another run.
    with pytest.raises(SchemaError, match=r"another configuration \(unlabelled speech"):
        run_crossval(asked, feature_set, protocol, tmp_path, folds=[fold.name])


@pytest.mark.slow
def test_a_checkpoint_with_unlabelled_speech_is_not_gone_on_from_without(
    feature_set, protocol, tmp_path
):
    class Killed(Exception):
        pass

    def stop(*arguments):
        raise Killed

    asked, folds = {"tiny": config_of(epochs=2)}, [protocol.folds[0].name]
    with pytest.raises(Killed):
        run_crossval(
            asked,
            feature_set,
            protocol,
            tmp_path,
            folds=folds,
            unlabelled_sets=[feature_set],
            progress=stop,
        )
    with pytest.raises(SchemaError, match=r"state\.npz: made with another configuration"):
        run_crossval(asked, feature_set, protocol, tmp_path, folds=folds)


@pytest.mark.slow
def test_recipes_are_chosen_without_speech_of_the_outer_test_part(
    feature_set, protocol, tmp_path, trained_on
):
    fold = protocol.folds[0]
    recipes = {"one": config_of(), "two": config_of(seed=1)}
    run_crossval(
        recipes, feature_set, protocol, tmp_path, folds=[fold.name], unlabelled_sets=[feature_set]
    )
    assert trained_on == features_of(feature_set, fold.train + fold.valid)


def parts_of(feature_set, protocol, *others, fold=0, **changes):
    speech = FurtherSpeech(feature_set, others)
    return FoldParts(
        config_of(**changes), feature_set, protocol.class_set, protocol.folds[fold], speech
    )


def test_a_recording_at_another_level_is_found_in_another_corpus(feature_set, protocol, table):
    (other,) = parts_of(feature_set, protocol, table).unlabelled
    # Who speaks there is known by it, under whatever name.
    assert other.dropped == {"recording": ["manifest/0"], "speaker": ["manifest/4"]}
    # A speaker of the same name in another corpus is another person.
    assert other.keys == ("manifest/1", "manifest/2", "manifest/3")
    # Where that recording is trained on anyway, its copy may be, too.
    (other,) = parts_of(feature_set, protocol, table, fold=1).unlabelled
    assert other.dropped == {}


def test_who_chooses_the_epoch_is_not_trained_on_either(feature_set, protocol):
    fold = protocol.folds[0]
    assert fold.valid
    (other,) = parts_of(feature_set, protocol, feature_set, select="validation").unlabelled
    assert set(other.keys) == set(fold.train)
    (other,) = parts_of(feature_set, protocol, feature_set, select="last").unlabelled
    assert set(other.keys) == set(fold.train + fold.valid)


def test_a_test_speaker_is_known_by_other_utterances_of_the_same_corpus(feature_set, protocol):
    rows = tuple(
        replace(row, key=f"{row.key}-more", audio_sha256="", fingerprint=bytes(127) + b"\1")
        for row in feature_set.rows
    )
    others = replace(feature_set, rows=rows)
    (other,) = parts_of(feature_set, protocol, others).unlabelled
    fold = protocol.folds[0]
    assert other.dropped == {"speaker": sorted(f"{key}-more" for key in fold.test)}


def test_nothing_is_left_of_a_set_and_it_is_refused_before_any_training(
    feature_set, protocol, tmp_path
):
    last = protocol.folds[-1]
    rows = tuple(row for row in feature_set.rows if row.key in last.test)
    others = replace(feature_set, rows=rows)
    with pytest.raises(LeakageError, match=f"fold {last.name}: found nothing to train on .*name"):
        run_crossval(
            {"tiny": config_of()}, feature_set, protocol, tmp_path, unlabelled_sets=[others]
        )
    assert not list(tmp_path.iterdir())


def test_short_recordings_are_left_out_of_unlabelled_sets_too(feature_set, protocol):
    least = float(np.median([row.duration_s for row in feature_set.rows]))
    parts = parts_of(feature_set, protocol, feature_set, batch={"drop_shorter_s": least})
    fold = protocol.folds[0]
    wanted = {
        row.key for row in feature_set.rows if row.duration_s >= least and row.key not in fold.test
    }
    assert set(parts.unlabelled[0].keys) == wanted


def test_an_unlabelled_set_of_other_settings_under_the_same_name_is_refused(
    feature_set, protocol, tmp_path
):
    corpus = write_corpus(tmp_path / "corpus", num_speakers=2, utterances_per_class=1, seed=3)
    trimmed = build_set("synthetic", corpus, tmp_path / "trimmed", trim_db=35)
    assert trimmed.schema.spec_name == feature_set.schema.spec_name
    with pytest.raises(SchemaError, match=r"trim_db 35\.0 instead of None"):
        run_crossval(
            {"tiny": config_of()},
            feature_set,
            protocol,
            tmp_path / "run",
            unlabelled_sets=[trimmed],
        )


@pytest.mark.parametrize("name", ["alexnet_fcn", "predictive_vrnn", "moma"])
def test_a_model_without_a_class_for_it_takes_no_speech_without_labels(
    name, feature_set, protocol, tmp_path
):
    plain = config_from_dict({"model": {"name": name}, "select": "last"})
    hiding = replace(plain, unlabelled=replace(plain.unlabelled, label_fraction=0.5))
    with pytest.raises(ConfigError, match=f"{name} learns from labels alone, expected one with"):
        run_crossval({"a": hiding}, feature_set, protocol, tmp_path)
    with pytest.raises(ConfigError, match=f"unlabelled set synthetic: model {name} learns from"):
        run_crossval({"a": plain}, feature_set, protocol, tmp_path, unlabelled_sets=[feature_set])
    dropping = replace(hiding, unlabelled=replace(hiding.unlabelled, use=False))
    parts = FoldParts(dropping, feature_set, protocol.class_set, protocol.folds[0])
    assert parts.sizes()["unlabelled"] == 0 < parts.sizes()["labelled"] < len(parts.own_keys)


@pytest.mark.slow
def test_calibration_asks_for_the_unlabelled_sets_of_the_run(
    feature_set, protocol, tmp_path, trained_on
):
    fold = protocol.folds[0]
    run_crossval(
        {"tiny": config_of()},
        feature_set,
        protocol,
        tmp_path,
        folds=[fold.name],
        unlabelled_sets=[feature_set],
    )
    with pytest.raises(SchemaError, match="trained with another unlabelled speech"):
        calibrate_run(tmp_path, feature_set)
    trained_on.clear()
    calibration = calibrate_run(tmp_path, feature_set, unlabelled_sets=[feature_set])
    assert list(calibration["folds"]) == [fold.name]
    # The second model, which knows neither the test nor the validation speakers.
    assert trained_on == features_of(feature_set, fold.train)


@pytest.mark.slow
def test_a_label_curve_counts_the_labels_that_choose_the_epoch(feature_set, protocol, tmp_path):
    fold = protocol.folds[0]
    curve = run_label_curve(
        "tiny",
        config_of(select="validation"),
        feature_set,
        protocol,
        tmp_path,
        fractions=(0.34,),
        folds=[fold.name],
    )
    counts = dict.fromkeys(protocol.class_set.classes, 0)
    for row in feature_set.rows:
        if row.key in fold.train:
            counts[row.label] += 1
    kept = sum(max(1, round(0.34 * count)) for count in counts.values())
    for point in curve["points"]:
        assert point["labelled"] == kept + len(fold.valid)
        assert point["of_validation"] == len(fold.valid)
    assert f"{len(fold.valid)} of them are of the validation speakers" in label_curve_table(curve)
    plots.label_curve(curve, tmp_path / "curve.svg")
    assert b"validation speakers, who choose the epoch" in (tmp_path / "curve.svg").read_bytes()
