"""A step is done again for an edit of what it runs, and for no other edit."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ser_keras.models import MODELS
from tests.architecture import PACKAGES, ROOT

# The pipelines are read on a copy of the tree, once for every edit.
pytestmark = pytest.mark.slow

TRAINED = ("attention_cnn", "moma", "predictive_vrnn", "alexnet_fcn")
# Edit: file, text, other text.
EDITS = {
    "help of --output": ("ser_keras/cli/options.py", "Folder of the run.", "A folder of the run."),
    "width of the page": (
        "ser_keras/report/pages/html.py",
        "max-width:76em",
        "max-width:73em",
    ),
    "layout of the search's report": ("tuning/report.py", "ENOUGH = 8", "ENOUGH = 9"),
    "constant of attention_cnn": ("ser_keras/models/attention_cnn.py", "MU = 255.0", "MU = 127.0"),
    "layer of moma": (
        "ser_keras/layers/moma_attention.py",
        "super().__init__(",
        "object.__init__(",
    ),
    "stream of predictive_vrnn": (
        "ser_keras/models/predictive_vrnn_stream.py",
        "hop: int = 1",
        "hop: int = 2",
    ),
    "entry of moma": ("ser_keras/models/__init__.py", '"gamma"', '"delta"'),
    "cross-entropy": ("ser_keras/models/objectives.py", "smoothed *", "2 * smoothed *"),
    "weights of AlexNet": ("ser_keras/models/weights/alexnet.py", "104.0", "105.0"),
    "another corpus": ("ser_keras/corpora/casia.py", "INFO = ", "MORE = 1\nINFO = "),
    "another definition": (
        "ser_keras/corpora/definitions/emodb.yaml",
        "German",
        "Deutsch",
    ),
    "another kind of feature": (
        "ser_keras/features/kinds/mfcc.py",
        "@dataclass",
        "MORE = 1\n\n\n@dataclass",
    ),
    "the kind of feature": (
        "ser_keras/features/kinds/spectrogram.py",
        "@dataclass",
        "MORE = 1\n\n\n@dataclass",
    ),
    "another component": ("pipeline/components/__init__.py", '"tuner": ', '"searcher": '),
}


def steps(features, folder):
    """Returns the steps of pipelines with several models, as `step_keys` takes them."""
    corpus = folder / "corpus"
    corpus.mkdir()
    facts = {"corpus": "synthetic", "data_dir": "", "allow_partial": False}
    (corpus / "corpus.json").write_text(json.dumps(facts))
    (corpus / "recordings.jsonl").touch()
    inputs = {"features": str(features), "corpus": str(corpus)}
    protocol = {"protocol": "synthetic-loso"}
    asked = {
        "corpus": ("corpus_gen", {"corpus": "synthetic"}, {}),
        "features": ("feature_gen", {"spec": "spectrogram200"}, {"corpus": str(corpus)}),
        "statistics": ("statistics_gen", {}, inputs),
        "validator": ("data_validator", protocol, inputs),
        "evaluator": ("evaluator", {}, inputs),
        "infra_validator": ("infra_validator", {}, inputs),
        "pusher": ("pusher", {"base": "models"}, {}),
    }
    for model in TRAINED:
        fold = folder / model / "folds" / "speaker-s01"
        fold.mkdir(parents=True)
        record = {"fold": fold.name, "config": {"model": {"name": model}}}
        (fold / "fold.json").write_text(json.dumps(record))
        asked |= {
            f"trainer of {model}": ("trainer", protocol | {"recipe": model}, inputs),
            f"tuner of {model}": ("tuner", protocol | {"space": model}, inputs),
            f"exporter of {model}": ("exporter", {}, inputs | {"model": str(folder / model)}),
        }
    return asked


@pytest.fixture(scope="module")
def changed(tmp_path_factory, features):
    """The steps whose code changes, by edit."""
    copy = tmp_path_factory.mktemp("copy")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    asked = steps(features, tmp_path_factory.mktemp("inputs"))
    script = Path(__file__).with_name("step_keys.py")
    done = subprocess.run(
        [sys.executable, str(script), str(copy), json.dumps(asked), json.dumps(EDITS)],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def of_model(*names):
    return {f"{step} of {name}" for name in names for step in ("trainer", "tuner", "exporter")}


def exporters():
    return {f"exporter of {name}" for name in TRAINED}


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ("help of --output", set()),
        ("width of the page", set()),
        ("layout of the search's report", set()),
        ("constant of attention_cnn", of_model("attention_cnn")),
        ("layer of moma", of_model("moma")),
        # An export of any model can hold a stream.
        ("stream of predictive_vrnn", exporters()),
        ("entry of moma", of_model("moma")),
        ("weights of AlexNet", of_model("alexnet_fcn")),
        ("another corpus", set()),
        ("another definition", set()),
        ("another component", set()),
        # The fingerprint of a feature set covers every kind, and so do the graphs of an export.
        ("another kind of feature", {"features"} | exporters()),
        ("the kind of feature", {"features"} | of_model(*TRAINED)),
    ],
)
def test_an_edit_changes_the_keys_of_the_steps_that_run_it(changed, edit, expected):
    assert set(changed[edit]) == expected


def test_an_edit_of_the_objective_changes_the_keys_of_everything_that_trains(changed):
    assert of_model(*TRAINED) <= set(changed["cross-entropy"])


def test_the_edited_models_are_registered():
    assert set(TRAINED) <= set(MODELS)
