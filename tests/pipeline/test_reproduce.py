"""The papers' experiments: that each is what its paper says, and that each runs from end to end."""

import itertools

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from pipeline import reproduce
from pipeline.experiments import EXPERIMENTS, comparison, find_experiment
from ser_keras.audio import write_wav
from ser_keras.corpora import CORPORA
from ser_keras.corpora.base import audio_files
from ser_keras.corpora.synthetic import TONES
from ser_keras.corpora.voice import person, speak
from ser_keras.errors import ConfigError
from ser_keras.features.specs import SPECS
from ser_keras.models import model_options
from ser_keras.protocols import protocol_names
from ser_keras.training.config import load_config
from tests import trees

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
    assert experiment.corpus in CORPORA
    names = protocol_names(experiment.corpus)
    assert experiment.protocol in names
    for variant in experiment.variants:
        config = load_config(variant.recipe or experiment.recipe, list(variant.changes))
        assert config.settings == "paper"
        assert config.spec in SPECS
        assert set(config.model.options) <= set(model_options(config.model.name))


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'moma'"):
        find_experiment("momma")
    with pytest.raises(ConfigError, match="did you mean 'casia'"):
        find_experiment("sparse_autoencoder", "cassia")
    with pytest.raises(ConfigError, match="did you mean 'single attention'"):
        reproduce.choose_variants(find_experiment("moma"), ["single attentoin"])


def test_published_numbers_stand_under_their_own_name():
    experiment = find_experiment("moma")
    pooled = {
        "wa": 0.61,
        "ua": 0.6,
        "mean_binary_accuracy": 0.805,
        "mean_binary_balanced_accuracy": 0.74,
    }
    result = {"pooled": pooled, "protocol": {"folds_run": 1, "folds": 1}}
    table = comparison(experiment, {"mixture of 3": result})
    assert "| mixture of 3 | 61.0 | 60.0 | 1 of 1 | mean_binary_accuracy 80.5 (ours 80.5)" in table
    assert "single attention" not in table


def miniature(corpus, root):
    """Returns a tree of the corpus's shape, with synthetic speech that the audit can tell apart."""
    tree(corpus, root)
    tones = list(TONES.values())
    for number, path in enumerate(audio_files(root)):
        rng = np.random.default_rng(number)
        vowels = rng.choice(list("aeiou"), 4).tolist()
        write_wav(path, speak(vowels, person(number, 0), tones[number % 4].vary(rng), rng))
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
        for number, code in enumerate(("ang", "hap", "neu", "sad") * 2):
            turns[f"Ses0{session}F_impro01_{sex}{number:03}"] = code
    return trees.iemocap(root, turns, distinct=True)


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: f"{e.system}-{e.corpus}")
def test_every_experiment_runs_from_a_corpus_to_its_table(experiment, tmp_path):
    app = typer.Typer()
    app.command()(reproduce.reproduce)
    variant = experiment.variants[0].name
    line = [experiment.system, "--corpus", experiment.corpus, "--allow-partial"]
    line += ["--data-dir", str(miniature(experiment.corpus, tmp_path / "corpus"))]
    line += ["--output", str(tmp_path / "out"), "--variant", variant, "--set", "epochs=1"]
    for option in TINY[experiment.system]:
        line += ["--set", f"model.options.{option}"]
    if experiment.protocol not in ("iemocap-session5", "ravdess-speaker-dependent-5"):
        line += ["--fold", first_fold(experiment, tmp_path / "corpus")]
    done = CliRunner().invoke(app, line, catch_exceptions=False)
    assert done.exit_code == 0
    table = tmp_path / "out" / f"{experiment.system}-{experiment.corpus}" / "table.md"
    assert f"| {variant} |" in table.read_text()
    assert experiment.note in done.stdout.replace("\n", " ")


def first_fold(experiment, root):
    """Returns the name of the protocol's first fold on a tree."""
    from ser_keras.corpora import read_corpus
    from ser_keras.protocols import build_protocol

    utterances = read_corpus(experiment.corpus, root, allow_partial=True)
    return build_protocol(experiment.protocol, utterances).folds[0].name
