"""The papers' experiments: each agrees with its paper, and each runs from end to end."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from pipeline.features.job import build_feature_set
from pipeline.papers import reproduce
from pipeline.papers.checks import folder_of, plan_rows
from pipeline.papers.experiments import EXPERIMENTS, find_experiment
from pipeline.papers.tables import markdown, table_facts
from ser_keras.audio import write_wav
from ser_keras.config import load_config
from ser_keras.corpora import corpus_names
from ser_keras.corpora.base import audio_files
from ser_keras.corpora.synthetic import TONES
from ser_keras.corpora.voice import person, speak
from ser_keras.errors import ConfigError, SchemaError, SerError
from ser_keras.experiments.crossval import run_crossval
from ser_keras.features.specs import SPECS, get_spec
from ser_keras.labels import class_set
from ser_keras.models import check_objective, model_options
from ser_keras.protocols import protocol_names
from tests import trees
from tests.models.weights.weights_files import (
    caffe_layers,
    torch_tensors,
    vgg_weights,
    write_legacy_pth,
    write_npy,
    write_vgg,
)

# Models of the same shape, small enough for a test.
TINY = {
    "moma": ("units=4", "attention_units=4"),
    "predictive_vrnn": ("recognition_units=4", "generation_units=4", "classification_units=4"),
    "attention_cnn": ("filters=[4, 4, 4]", "pool_after=[1, 2]"),
    "alexnet_fcn": ("width=0.0625", "attention_units=4"),
    "sparse_autoencoder": ("encoder_units=128", "recurrent_units=4"),
}


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: f"{e.system}-{e.corpus}")
def test_every_row_names_what_exists(experiment):
    assert experiment.corpus in corpus_names()
    names = protocol_names(experiment.corpus)
    assert experiment.protocol in names
    for variant in experiment.variants:
        config = load_config(variant.recipe or experiment.recipe, list(variant.changes))
        assert config.settings == "paper"
        assert config.spec in SPECS
        assert set(config.model.options) <= set(model_options(config.model.name))
        check_objective(config.model.name, config.objective)


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'moma'"):
        find_experiment("momma")
    with pytest.raises(ConfigError, match="did you mean 'casia'"):
        find_experiment("sparse_autoencoder", "cassia")
    with pytest.raises(ConfigError, match="did you mean 'single attention'"):
        reproduce.choose_variants(find_experiment("moma"), ["single attentoin"])


# Every row of the papers' tables: name of the row here, and what is printed there.
PRINTED = {
    "moma-iemocap": {
        "mixture of 3": (80.5, 74.8),
        "Factor analysis [31]": (56.1,),
        "CNN LSTM [29]": (59.4,),
        "CNN RecCap [12]": (58.2,),
        "CNN GRU-SeqCap [12]": (59.7,),
        "Attention Pool [30]": (71.8,),
        "Convolutional self-attention [32]": (76.3, 68.8),
        "MULTIMODAL: Attention [18]": (78.0,),
    },
    "predictive_vrnn-ravdess": {
        "literal reading": (78.5,),
        "without attention": (79.9,),
        "[18] (2021), MFCC": (77.8,),
        "[32] (2019), spectrogram": (64.5,),
        "[16] (2020), spectrogram": (79.5,),
        "[17] (2021), spectrogram": (80.0,),
        "[33] (2020), low-level features": (72.0,),
    },
    "predictive_vrnn-iemocap": {
        "literal reading, short files dropped": (65.5,),
        "without attention": (64.4,),
        "[15] (2020), IS09 and mel spectrogram": (67.7,),
        "[5] (2018), spectrogram": (70.4,),
        "[19] (2018), low-level descriptors": (68.8,),
        "[21] (2017), log-mel filterbanks": (62.1,),
    },
    "attention_cnn-iemocap": {
        "attention pooling": (71.75, 68.06),
        "global average pooling": (71.35, 67.54),
        "bilinear pooling": (69.17, 64.16),
        "DNN-ELM [6][24]": (57.91, 52.13),
        "RNN-ELM [24]": (62.85, 63.89),
        "CNN-LSTM [11]": (68.8, 59.4),
        "CNN-LSTM (two-step predictor)": (67.3, 62.0),
    },
    "alexnet_fcn-iemocap": {
        "attention FCN, from ImageNet": (70.4, 63.9),
        "AlexNet, random-init": (66.5, 54.8),
        "AlexNet, finetuning": (67.9, 57.3),
        "VGGNet-16, random-init": (65.3, 54.8),
        "VGGNet-16, finetuning": (66.8, 56.7),
        "CNN+LSTM Model1 in [9]": (68.8, 59.4),
        "CNN+LSTM Model2 in [9]": (67.3, 62.0),
    },
    "sparse_autoencoder-casia": {"semi-supervised": (83.3,), "[17]": (79.0,)},
    "sparse_autoencoder-emodb": {
        "semi-supervised": (89.7,),
        "[15]": (85.1,),
        "[16]": (87.31,),
        "[17]": (88.88,),
    },
    "sparse_autoencoder-iemocap": {"semi-supervised": (69.5,), "[15]": (64.2,)},
}


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: f"{e.system}-{e.corpus}")
def test_the_whole_table_of_the_paper_is_there(experiment):
    rows = {row["row"]: row for row in table_facts(experiment, {})["rows"]}
    assert len(rows) == len(experiment.variants) + len(experiment.others)
    printed = PRINTED[f"{experiment.system}-{experiment.corpus}"]
    for name, values in printed.items():
        assert tuple(rows[name]["published"].values()) == values
    more = [name for name, row in rows.items() if row["published"] and name not in printed]
    # The paper's one row, in the second way of training that it allows.
    assert more in ([], ["mixture of 3, sessions 1-4, fixed epochs"])


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: f"{e.system}-{e.corpus}")
def test_rows_have_folders_of_their_own(experiment):
    folders = [folder_of(variant.name) for variant in experiment.variants]
    assert len(set(folders)) == len(folders)
    assert not any(set(folder) & set("/, ") for folder in folders)


def settings(experiment, name):
    """Returns the configuration of a row."""
    variant = next(variant for variant in experiment.variants if variant.name == name)
    return load_config(variant.recipe or experiment.recipe, list(variant.changes))


def test_published_numbers_stand_beside_the_settings_of_their_paper():
    vrnn = find_experiment("predictive_vrnn", "iemocap")
    for name in ("literal reading, short files dropped", "without attention"):
        assert settings(vrnn, name).batch.drop_shorter_s == 2.0
    assert settings(vrnn, "literal reading, short files padded").batch.drop_shorter_s == 0
    ended = settings(vrnn, "class asked at the end of each file")
    assert ended.objective["label_time"] == "end"
    moma = find_experiment("moma")
    assert settings(moma, "mixture of 3, sessions 1-4, fixed epochs").select == "last"
    assert settings(moma, "mixture of 3, scaled by length").model.options["scale_by_length"]
    autoencoder = find_experiment("sparse_autoencoder", "iemocap")
    semi, twin = (
        settings(autoencoder, name).unlabelled
        for name in ("semi-supervised", "labelled quarter alone")
    )
    assert semi.label_fraction == twin.label_fraction < 1
    assert (semi.use, twin.use) == (True, False)
    assert class_set(autoencoder.class_set).class_of("excited") is None


def result_of(**more):
    """Returns the parts of a cross-validation's result that a table reads."""
    pooled = {"wa": 0.61, "wa_interval": [0.5, 0.7], "ua": 0.6, "ua_interval": [0.48, 0.71]}
    pooled |= {"mean_binary_accuracy": 0.805, "mean_binary_balanced_accuracy": 0.74}
    spread = {"wa": {"mean": 0.62, "std": 0.031}, "ua": {"mean": 0.593, "std": 0.044}}
    record = {"fold": "a", "wa": 0.61, "ua": 0.6, "epoch": 3, "sizes": {"train": 8}}
    record |= {"test_speakers": ["Ses05F", "Ses05M"]}
    return {
        "pooled": pooled,
        "over_folds": spread,
        "protocol": {"folds_run": 2, "folds": 10},
        "class_set": {"name": "iemocap4"},
        "epoch_chosen_by": "validation",
        "weights": {"initialisation": "random"},
        "cost": {"parameters": 7},
        "recipes": {},
        "folds": [record],
        **more,
    }


def table_row(text, name):
    line = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_row_of_the_adapted_track_says_so():
    adapted = result_of() | {"track": "adapted"}
    text = markdown(table_facts(find_experiment("moma"), {"mixture of 3": adapted}))
    assert table_row(text, "mixture of 3 (adapted track)")
    assert "track)" not in markdown(
        table_facts(find_experiment("moma"), {"mixture of 3": result_of()})
    )


def test_a_row_has_intervals_mean_and_deviation_beside_the_published_metric():
    text = markdown(table_facts(find_experiment("moma"), {"mixture of 3": result_of()}))
    cells = table_row(text, "mixture of 3")
    names = (
        "mean binary accuracy (the paper's UA)",
        "mean binary balanced accuracy (the paper's WA)",
    )
    assert cells[1] == f"{names[0]} 80.5, {names[1]} 74.8"
    assert cells[2] == f"{names[0]} 80.5, {names[1]} 74.0"
    assert cells[3:6] == ["61.0", "50.0 – 70.0, range of two", "62.0 ± 3.1"]
    assert cells[6:] == ["60.0", "48.0 – 71.0, range of two", "59.3 ± 4.4", "2 of 10"]
    foreign = table_row(text, "Convolutional self-attention [32]")
    assert foreign[1] == "UA 76.3, WA 68.8"
    assert set(foreign[2:]) == {"–"}
    assert table_row(text, "no attention")[-1] == "not run: not asked for"


def test_a_single_fold_has_no_deviation():
    single = result_of(protocol={"folds_run": 1, "folds": 5})
    text = markdown(table_facts(find_experiment("predictive_vrnn"), {"literal reading": single}))
    assert table_row(text, "literal reading")[5] == "one fold"


def test_a_single_speaker_has_no_interval():
    single = result_of()
    single["folds"] = [single["folds"][0] | {"test_speakers": ["03"]}]
    text = markdown(table_facts(find_experiment("predictive_vrnn"), {"literal reading": single}))
    cells = table_row(text, "literal reading")
    assert cells[4] == cells[7] == "–"


def miniature(corpus, root, vowels=4, seed=0):
    """Returns a tree of the corpus's shape, with synthetic speech that the audit can tell apart."""
    tree(corpus, root)
    tones = list(TONES.values())
    for number, path in enumerate(audio_files(root)):
        rng = np.random.default_rng([seed, number])
        spoken = rng.choice(list("aeiou"), vowels).tolist()
        write_wav(path, speak(spoken, person(number, seed), tones[number % 4].vary(rng), rng))
    return root


def tree(corpus, root):
    """Builds a tree with a recording or two of every kind."""
    if corpus == "ravdess":
        return trees.ravdess(root, actors=range(1, 5), distinct=True)
    if corpus == "casia":
        return trees.casia(root, numbers=range(201, 203), distinct=True)
    if corpus == "emodb":
        names = [name for name in trees.emodb_names() if name[2:5] in ("a01", "a02", "b01")]
        return trees.emodb(root, names=names, distinct=True)
    turns = {}
    for session, sex in itertools.product(range(1, 6), "FM"):
        for number, code in enumerate(("ang", "hap", "neu", "sad")):
            turns[f"Ses0{session}F_impro01_{sex}{number:03}"] = code
    return trees.iemocap(root, turns, distinct=True)


def run(experiment, root, output, *more):
    """Runs the verb on a miniature corpus; returns its result."""
    app = typer.Typer()
    app.command()(reproduce.reproduce)
    line = [experiment.system, "--corpus", experiment.corpus, "--allow-partial"]
    line += ["--data-dir", root, "--output", output, "--set", "epochs=1", *more]
    return CliRunner().invoke(app, list(map(str, line)))


def tiny(experiment):
    """Returns the options that make the experiment's model small."""
    return [
        word for option in TINY[experiment.system] for word in ("--set", f"model.options.{option}")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: f"{e.system}-{e.corpus}")
def test_every_experiment_runs_from_a_corpus_to_its_table(experiment, tmp_path):
    variant = next(v.name for v in experiment.variants if not v.pretrained)
    long = settings(experiment, variant).batch.drop_shorter_s
    root = miniature(experiment.corpus, tmp_path / "corpus", vowels=14 if long else 4)
    more = ["--variant", variant, *tiny(experiment)]
    if experiment.protocol not in ("iemocap-session5", "ravdess-speaker-dependent-5"):
        more += ["--fold", first_fold(experiment, root)]
    done = run(experiment, root, tmp_path / "out", *more)
    assert done.exit_code == 0, done.output
    folder = tmp_path / "out" / f"{experiment.system}-{experiment.corpus}"
    facts = json.loads((folder / "table.json").read_text())
    rows = {row["row"]: row for row in facts["rows"]}
    result = json.loads((folder / folder_of(variant) / "result.json").read_text())
    assert rows[variant]["ours"]["pooled"] == result["pooled"]
    assert rows[variant]["ours"]["over_folds"] == result["over_folds"]
    assert (folder / "table.md").read_text() == markdown(facts) + "\n"
    assert experiment.note in done.stdout.replace("\n", " ")
    assert "epochs=1" in facts["changes"]
    assert "`epochs=1`" in done.stdout


@pytest.fixture
def imagenet(tmp_path):
    """Returns a file of AlexNet and one of VGG-16, in the published formats."""
    alexnet, vgg16 = tmp_path / "bvlc_alexnet.npy", tmp_path / "vgg16_notop.h5"
    write_npy(alexnet, caffe_layers())
    write_vgg(vgg16, vgg_weights())
    return alexnet, vgg16


def test_each_row_from_imagenet_takes_the_file_of_its_model_and_no_other_row_does(imagenet):
    experiment = find_experiment("alexnet_fcn")

    def planned(weights):
        rows, reasons = plan_rows(experiment, experiment.variants, (), weights, Path("out"))
        return {row.variant.name: row.config.model.weights for row in rows}, reasons

    alexnet, vgg16 = map(str, imagenet)
    at_random = {
        "attention FCN, from random weights": None,
        "AlexNet, random-init": None,
        "VGGNet-16, random-init": None,
    }
    rows, reasons = planned([])
    assert rows == at_random
    assert all("needs --weights" in reason for reason in reasons.values())
    assert len(reasons) == 3
    rows, reasons = planned(imagenet[:1])
    of_alexnet = {"attention FCN, from ImageNet": alexnet, "AlexNet, finetuning": alexnet}
    assert rows == at_random | of_alexnet
    assert list(reasons) == ["VGGNet-16, finetuning"]
    rows, reasons = planned(imagenet)
    assert rows == at_random | of_alexnet | {"VGGNet-16, finetuning": vgg16}
    assert reasons == {}


@pytest.mark.slow
def test_a_row_without_its_weights_is_named_and_trained_when_they_are_given(tmp_path, imagenet):
    experiment = find_experiment("alexnet_fcn")
    root = miniature("iemocap", tmp_path / "corpus", vowels=2)
    alexnet, vgg16 = imagenet
    more = ["--fold", first_fold(experiment, root), "--set", f"model.weights={alexnet}"]
    more += ["--variant", "AlexNet, finetuning", "--variant", "VGGNet-16, finetuning"]
    for change in ("model.options.frames=70", "model.options.dense_units=4"):
        more += ["--set", change]
    for frames in ("segment_frames", "segment_hop", "test_hop"):
        more += ["--set", f"batch.{frames}=70"]
    table = tmp_path / "out" / "alexnet_fcn-iemocap" / "table.json"

    def rows():
        return {row["row"]: row for row in json.loads(table.read_text())["rows"]}

    done = run(experiment, root, tmp_path / "out", *more)
    assert done.exit_code == 0, done.output
    before = rows()["AlexNet, finetuning"]
    assert before["ours"]["weights"]["file"] == alexnet.name
    assert rows()["VGGNet-16, finetuning"]["ours"] is None
    assert "needs --weights" in rows()["VGGNet-16, finetuning"]["status"]
    done = run(experiment, root, tmp_path / "out", *more, "--weights", vgg16)
    assert done.exit_code == 0, done.output
    assert rows()["VGGNet-16, finetuning"]["ours"]["weights"]["plan"] == "vgg16"
    assert rows()["AlexNet, finetuning"] == before


@pytest.mark.slow
def test_unlabelled_features_reach_the_semi_supervised_row_alone(tmp_path, monkeypatch):
    experiment = find_experiment("sparse_autoencoder", "emodb")
    root = miniature("emodb", tmp_path / "corpus")
    extra_set = build_feature_set(
        "casia",
        miniature("casia", tmp_path / "casia", seed=1),
        get_spec("logmel40-deltas"),
        tmp_path / "features",
        allow_partial=True,
    )
    corpora = {}

    def crossval(recipes, *arguments, unlabelled_sets=(), **more):
        corpora[next(iter(recipes))] = [used.schema.corpus for used in unlabelled_sets]
        return run_crossval(recipes, *arguments, unlabelled_sets=unlabelled_sets, **more)

    monkeypatch.setattr("ser_keras.experiments.crossval.run_crossval", crossval)
    more = [
        "--unlabelled",
        extra_set,
        "--fold",
        first_fold(experiment, root),
        *tiny(experiment),
    ]
    more += ["--variant", "semi-supervised", "--variant", "labelled quarter alone"]
    done = run(experiment, root, tmp_path / "out", *more)
    assert done.exit_code == 0, done.output
    assert corpora == {"sparse_autoencoder": ["casia"], "sparse_autoencoder-labelled": []}
    folder = tmp_path / "out" / "sparse_autoencoder-emodb"
    rows = json.loads((folder / "table.json").read_text())["rows"]
    semi, twin = (row["ours"]["of_each_fold"][0]["sizes"] for row in rows[:2])
    record = json.loads((folder / "semi-supervised" / "result.json").read_text())["folds"][0]
    (added,) = (used["trained_on"] for used in record["unlabelled_sets"])
    assert added == 48
    hidden = semi["train"] - twin["train"]
    assert hidden > 0
    assert (semi["unlabelled"], twin["unlabelled"]) == (hidden + added, 0)


# === What is refused before anything is trained ===


def refused(experiment, tmp_path, *more):
    """Runs the verb on a miniature corpus; checks that nothing was trained; returns the error."""
    root = tmp_path / "corpus"
    if not root.exists():
        miniature(experiment.corpus, root)
    done = run(experiment, root, tmp_path / "out", *more)
    assert isinstance(done.exception, SerError), done.output
    assert not list((tmp_path / "out").rglob("fold.json"))
    return str(done.exception)


def test_an_option_that_one_row_does_not_have_stops_all_rows(tmp_path):
    experiment = find_experiment("alexnet_fcn")
    error = refused(experiment, tmp_path, "--set", "model.options.attention_units=4")
    assert "row 'AlexNet, random-init': unknown option of model alexnet_fixed" in error


def test_an_unknown_fold_and_a_foreign_weights_file_stop_all_rows(tmp_path):
    experiment = find_experiment("predictive_vrnn")
    assert "unknown fold" in refused(experiment, tmp_path, "--fold", "part9")
    path = tmp_path / "bvlc_alexnet.npy"
    write_npy(path, caffe_layers())
    assert "no row of predictive_vrnn" in refused(experiment, tmp_path, "--weights", path)


def test_weights_that_cannot_be_read_or_are_given_twice_stop_all_rows(tmp_path):
    experiment = find_experiment("alexnet_fcn")
    path = tmp_path / "alexnet.pth"
    write_legacy_pth(path, torch_tensors(), kind="HalfStorage")
    assert "torch.save" in refused(experiment, tmp_path, "--weights", path)
    write_legacy_pth(path, torch_tensors())
    twice = refused(experiment, tmp_path, "--weights", path, "--set", f"model.weights={path}")
    assert "expected one file" in twice


def test_unlabelled_sets_that_no_row_can_use_are_refused(tmp_path):
    extra_set = tmp_path / "features"
    error = refused(find_experiment("moma"), tmp_path, "--unlabelled", extra_set)
    assert "moma has none" in error
    autoencoder = find_experiment("sparse_autoencoder", "emodb")
    only = ["--variant", "all labels", "--unlabelled", extra_set]
    assert "semi-supervised" in refused(autoencoder, tmp_path, *only)


@pytest.mark.slow
def test_an_extra_set_of_other_features_stops_all_rows(tmp_path):
    experiment = find_experiment("sparse_autoencoder", "emodb")
    casia = miniature("casia", tmp_path / "casia")
    extra_set = build_feature_set(
        "casia", casia, get_spec("logmel23"), tmp_path / "features", allow_partial=True
    )
    error = refused(experiment, tmp_path, "--unlabelled", extra_set, *tiny(experiment))
    assert "expected 'logmel40-deltas'" in error
    trimmed = get_spec("logmel40-deltas", trim_db=30)
    extra_set = build_feature_set("casia", casia, trimmed, tmp_path / "trimmed", allow_partial=True)
    # The row that would refuse it is the last one.
    more = ["--variant", "all labels", "--variant", "semi-supervised", *tiny(experiment)]
    assert "trim_db 30.0 instead of" in refused(
        experiment, tmp_path, "--unlabelled", extra_set, *more
    )


@pytest.mark.slow
def test_a_fold_of_short_recordings_alone_stops_all_rows(tmp_path):
    experiment = find_experiment("predictive_vrnn", "iemocap")
    error = refused(experiment, tmp_path, *tiny(experiment))
    assert "found no recording of 2 s or more" in error
    assert "row 'literal reading, short files dropped'" in error


@pytest.mark.slow
def test_the_folder_of_another_run_stops_all_rows(tmp_path):
    experiment = find_experiment("sparse_autoencoder", "emodb")
    root = miniature("emodb", tmp_path / "corpus")
    more = ["--fold", first_fold(experiment, root), *tiny(experiment)]
    done = run(experiment, root, tmp_path / "out", *more, "--variant", "all labels")
    assert done.exit_code == 0, done.output
    done = run(experiment, root, tmp_path / "out", *more, "--set", "seed=1")
    assert isinstance(done.exception, SchemaError)
    assert "row 'all labels'" in str(done.exception)
    assert len(list((tmp_path / "out").rglob("fold.json"))) == 1


@pytest.mark.slow
def test_a_row_with_other_unlabelled_speech_stops_all_rows(tmp_path):
    experiment = find_experiment("sparse_autoencoder", "emodb")
    root = miniature("emodb", tmp_path / "corpus")
    casia = miniature("casia", tmp_path / "casia", seed=1)
    spec = get_spec("logmel40-deltas")
    extra_set = build_feature_set("casia", casia, spec, tmp_path / "features", allow_partial=True)
    more = ["--fold", first_fold(experiment, root), *tiny(experiment)]
    first = ["--variant", "semi-supervised", "--unlabelled", extra_set]
    done = run(experiment, root, tmp_path / "out", *more, *first)
    assert done.exit_code == 0, done.output
    done = run(experiment, root, tmp_path / "out", *more)
    assert "unlabelled speech" in str(done.exception)
    assert len(list((tmp_path / "out").rglob("fold.json"))) == 1


def first_fold(experiment, root):
    """Returns the name of the protocol's first fold on a tree."""
    from ser_keras.corpora import read_corpus
    from ser_keras.protocols import build_protocol

    utterances = read_corpus(experiment.corpus, root, allow_partial=True)
    return build_protocol(experiment.protocol, utterances).folds[0].name
