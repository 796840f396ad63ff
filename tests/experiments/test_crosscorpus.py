import json
from dataclasses import replace

import numpy as np
import pytest

from ser_keras import metrics, plots
from ser_keras.corpora import synthetic
from ser_keras.corpora.synthetic import write_corpus
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, LeakageError, SchemaError
from ser_keras.experiments.crosscorpus import run_crosscorpus
from ser_keras.experiments.crosscorpus_protocol import build_crosscorpus, merged, shared_classes
from ser_keras.experiments.evaluate import trained_folds
from ser_keras.features.statistics import FeatureStatistics
from ser_keras.labels import CLASS_SETS, ClassSet
from ser_keras.report.summary import crosscorpus_table


@pytest.fixture(scope="module")
def other_set(tmp_path_factory):
    """Features of a second corpus of other voices, with the same file names as the first."""
    from pipeline.features.job import build_feature_set
    from ser_keras.features.specs import get_spec

    root = tmp_path_factory.mktemp("other")
    corpus = write_corpus(root / "corpus", num_speakers=3, utterances_per_class=2, seed=7)
    path = build_feature_set(
        "synthetic", corpus, get_spec("spectrogram200"), root / "features", name="other"
    )
    return FeatureSet.open(path)


@pytest.fixture(scope="module")
def config():
    from tests.small_trainings import tiny_config

    return tiny_config(select="last")


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("matrix")


@pytest.fixture(scope="module")
def result(config, feature_set, other_set, output):
    return run_crosscorpus("tiny", config, [feature_set, other_set], output)


def cell_of(result, train, test):
    return next(c for c in result["cells"] if (c["train"], c["test"]) == (train, test))


def without_labels(feature_set, *labels):
    rows = tuple(row for row in feature_set.rows if row.label not in labels)
    return replace(feature_set, rows=rows)


def named(feature_set, name):
    return replace(feature_set, schema=replace(feature_set.schema, name=name))


@pytest.mark.slow
def test_each_corpus_is_tested_whole_by_the_model_of_the_other(result, feature_set, other_set):
    pairs = [(cell["train"], cell["test"]) for cell in result["cells"]]
    assert pairs == [("synthetic", "other"), ("other", "synthetic")]
    assert cell_of(result, "synthetic", "other")["utterances"] == len(other_set.rows)
    assert cell_of(result, "other", "synthetic")["utterances"] == len(feature_set.rows)
    assert cell_of(result, "other", "synthetic")["speakers"] == 4
    assert [fold["sizes"]["train"] for fold in result["folds"]] == [48, 24]


@pytest.mark.slow
def test_a_cell_is_the_saved_model_on_the_other_corpus(result, other_set, output, config):
    import keras

    from ser_keras.data.part import FoldPart
    from ser_keras.training.predict import predict

    classes = result["class_set"]["classes"]
    model = keras.models.load_model(output / "folds" / "synthetic" / "model.keras")
    part = FoldPart(other_set, {row.key: classes.index(row.label) for row in other_set.rows})
    scores = predict(model, part, config.batch)
    counts = metrics.confusion_matrix(scores.classes, scores.predicted, len(classes))
    assert cell_of(result, "synthetic", "other")["confusion"] == counts.tolist()


@pytest.mark.slow
def test_the_normaliser_saw_the_training_corpus_alone(result, feature_set, output, config):
    import keras

    from ser_keras.data.part import FoldPart

    del result
    part = FoldPart(feature_set, dict.fromkeys((row.key for row in feature_set.rows), 0))
    expected = FeatureStatistics.fit(part.frames()).affine(config.normalizer)
    model = keras.models.load_model(output / "folds" / "synthetic" / "model.keras")
    weights = [weight.numpy() for weight in model.get_layer("normalizer").weights]
    for values, expected_values in zip(weights, expected, strict=True):
        np.testing.assert_allclose(values, expected_values, rtol=1e-4)


@pytest.mark.slow
def test_a_second_run_takes_what_is_there_and_one_on_other_corpora_is_refused(
    result, config, feature_set, other_set, output
):
    models = {name: output / "folds" / name / "model.keras" for name in trained_folds(output)}
    before = {name: path.stat().st_mtime_ns for name, path in models.items()}
    again = run_crosscorpus("tiny", config, [feature_set, other_set], output)
    assert again == result == json.loads((output / "result.json").read_text())
    assert before == {name: path.stat().st_mtime_ns for name, path in models.items()}
    fewer = without_labels(other_set, "sad")
    with pytest.raises(SchemaError, match=r"holds a run of another protocol"):
        run_crosscorpus("tiny", config, [feature_set, fewer], output)


@pytest.mark.slow
def test_the_matrix_is_a_table_and_a_picture(result, tmp_path):
    head, _, first, *_ = crosscorpus_table(result).splitlines()
    assert head == "| trained on | synthetic | other |"
    assert first.startswith("| synthetic |  | ")
    assert first.count("(") == 1
    for name in ("a.svg", "b.svg"):
        plots.corpus_matrix(result, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_classes_are_the_labels_that_all_corpora_have(feature_set, other_set):
    sets = {"synthetic": feature_set, "other": without_labels(other_set, "sad")}
    assert shared_classes(sets).classes == ("neutral", "happy", "angry")
    sets["other"] = without_labels(other_set, "sad", "angry", "neutral")
    with pytest.raises(ConfigError, match=r"share the label happy alone, expected two or more"):
        shared_classes(sets)


def test_a_class_that_a_corpus_lacks_is_named(feature_set, other_set, config):
    sets = {"synthetic": feature_set, "other": without_labels(other_set, "sad")}
    with pytest.raises(ConfigError, match="other has no sad"):
        build_crosscorpus(sets, ClassSet("two", ("happy", "sad")), config, 0)


def test_validation_speakers_come_from_the_training_corpus(feature_set, other_set, config):
    sets = {"synthetic": feature_set, "other": other_set}
    classes = shared_classes(sets)
    fold, _ = build_crosscorpus(sets, classes, replace(config, select="validation"), 0).folds
    assert fold.valid
    assert {key.partition(":")[0] for key in fold.train + fold.valid} == {"synthetic"}
    assert {key.partition(":")[0] for key in fold.test} == {"other"}
    assert len(fold.train + fold.valid) == len(feature_set.rows)


def test_one_recording_in_two_corpora_is_a_leak(feature_set, config, tmp_path):
    sets = [feature_set, named(feature_set, "copy")]
    with pytest.raises(LeakageError, match="duplicates"):
        run_crosscorpus("tiny", config, sets, tmp_path)


def test_one_person_in_two_copies_of_a_published_corpus_is_a_leak(
    feature_set, other_set, config, tmp_path, monkeypatch
):
    published = replace(synthetic.INFO, speakers={"s01": 12})
    monkeypatch.setattr(synthetic, "INFO", published)
    with pytest.raises(LeakageError, match="speakers are in more than one part"):
        run_crosscorpus("tiny", config, [feature_set, other_set], tmp_path)


def test_one_name_for_two_corpora_is_refused(feature_set, other_set, config, tmp_path):
    with pytest.raises(ConfigError, match="with different names"):
        run_crosscorpus("tiny", config, [feature_set, named(other_set, "synthetic")], tmp_path)


def relabelled(feature_set, name, **labels):
    """The features as a corpus with other words for its labels."""
    rows = tuple(replace(row, label=labels.get(row.label, row.label)) for row in feature_set.rows)
    return replace(named(feature_set, name), rows=rows)


STRANGE = {"angry": "anger", "happy": "Freude", "sad": "sadness", "neutral": "ntr"}


def test_labels_in_other_words_are_joined_by_the_option_that_the_error_names(
    feature_set, other_set, config
):
    sets = {"one": feature_set, "two": relabelled(other_set, "two", **STRANGE)}
    with pytest.raises(ConfigError, match=r"one, two share no label, expected two") as refused:
        shared_classes(sets)
    advice = str(refused.value).rpartition("--map ")[2]
    assert advice == "Freude=happy,anger=angry,ntr=neutral,sadness=sad"
    classes = shared_classes(sets, dict(pair.split("=") for pair in advice.split(",")))
    assert classes.classes == ("neutral", "happy", "sad", "angry")
    protocol = build_crosscorpus(sets, classes, config, seed=0)
    assert [len(fold.test) for fold in protocol.folds] == [len(other_set.rows), 48]


def test_neither_error_sends_to_the_other(feature_set, other_set, config):
    """Without --classes, with --classes, and with --map as either of them says."""
    sets = {"one": feature_set, "two": relabelled(other_set, "two", **STRANGE)}
    with pytest.raises(ConfigError) as without:
        shared_classes(sets)
    with pytest.raises(ConfigError, match="two has no angry, happy, neutral, sad") as with_set:
        build_crosscorpus(sets, CLASS_SETS["emodb4"], config, seed=0)
    for refused in (without, with_set):
        assert "--classes" not in str(refused.value)
        assert "Add --map " in str(refused.value)
    pairs = str(with_set.value).rpartition("--map ")[2].split(",")
    classes = merged(CLASS_SETS["emodb4"], dict(pair.split("=") for pair in pairs))
    assert len(build_crosscorpus(sets, classes, config, seed=0).folds) == 2


def test_labels_that_nobody_knows_are_left_to_the_user(feature_set, other_set):
    foreign = dict.fromkeys(STRANGE, "xyz")
    sets = {"one": feature_set, "two": relabelled(other_set, "two", **foreign)}
    with pytest.raises(ConfigError, match=r"two has xyz\. Say which .* --map xyz=angry, or leave"):
        shared_classes(sets)
    with pytest.raises(ConfigError, match="--map: unknown label 'angy'; did you mean 'angry'"):
        shared_classes(sets, {"angy": "happy"})


def test_a_class_that_one_corpus_lacks_is_left_out_with_the_class_set(
    feature_set, other_set, config
):
    sets = {"one": feature_set, "two": without_labels(other_set, "sad")}
    with pytest.raises(ConfigError, match=r"Leave out --classes .*: neutral, happy, angry"):
        build_crosscorpus(sets, CLASS_SETS["emodb4"], config, seed=0)
    assert shared_classes(sets).classes == ("neutral", "happy", "angry")
