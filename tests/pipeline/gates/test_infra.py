"""Real processes and really damaged exports: nothing replaces TensorFlow here."""

import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

from pipeline.gates import infra_probe
from pipeline.gates.blessing import reasons_against
from pipeline.gates.infra import judge_export, tensorflow_packages, validate_export
from pipeline.gates.infra_requests import recorded_requests, warmup_requests
from pipeline.publishing.file_hashes import Hashes
from ser_keras.errors import ConfigError
from tests.pipeline import exported
from tests.serving import exports

pytestmark = pytest.mark.slow


@pytest.fixture
def copy(export, tmp_path):
    """The version's folder, to be damaged."""
    return shutil.copytree(export[0], tmp_path / "1")


def small_requests(version):
    """One warm-up request of each kind."""
    requests = warmup_requests(version)
    return [request for request in requests if len(next(iter(request.inputs.values()))) == 1]


def test_a_good_export_is_blessed_with_what_was_measured(export, tmp_path):
    version, run, features, corpus = export
    reasons, facts = judge_export(
        version, tmp_path / "out", run=run, features=features, corpus=corpus, recordings=4
    )
    assert reasons == reasons_against(tmp_path / "out") == []
    # 13 of the warm-up file, 4 recordings as features and as audio.
    assert (facts["requests"], facts["recorded"]) == (21, 8)
    assert 0 < facts["furthest_answer"] < 1e-4
    assert facts["load_s"] > 0
    assert {"serving_default", "features"} <= set(facts["signatures"])
    written = json.loads((tmp_path / "out" / "infra.json").read_text())
    assert written["sha256"] == Hashes().of(version)
    assert written["reasons"] == []


def test_an_answer_that_is_not_the_trained_models_is_a_reason(export, tmp_path):
    version, run, features, _ = export
    changed = shutil.copytree(run, tmp_path / "run")
    path = changed / "folds" / exported.FOLD / "scores.npz"
    with np.load(path) as stored:
        scores = dict(stored)
    np.savez(path, **{**scores, "probabilities": scores["probabilities"][:, ::-1]})
    requests = recorded_requests(version, changed, features, count=1)
    (reason,) = validate_export(version, requests)[0]
    assert "from the trained model's answer, expected at most 0.0001" in reason


def test_an_export_of_another_run_is_not_blessed(export, tmp_path):
    version, run, features, _ = export
    changed = shutil.copytree(run, tmp_path / "run")
    record = changed / "folds" / exported.FOLD / "fold.json"
    record.write_text('{"fold": "s01", "weights_sha256": "other"}')
    reasons, _ = judge_export(version, tmp_path / "out", run=changed, features=features)
    assert "Give the run that was exported" in reasons[0]
    assert reasons_against(tmp_path / "out") == reasons


@pytest.mark.parametrize(
    ("gone", "sentence"),
    [
        ("variables", "ended with 1: "),
        ("saved_model.pb", "SavedModel file does not exist"),
        ("assets.extra", "no warm-up file and no recorded request"),
    ],
)
def test_a_version_that_is_half_copied_is_not_blessed(copy, tmp_path, gone, sentence):
    path = copy / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    reasons, _ = judge_export(copy, tmp_path / "out")
    assert sentence in reasons[0]
    assert reasons_against(tmp_path / "out") == reasons


def test_a_warmup_file_that_is_cut_off_is_not_blessed(copy, tmp_path):
    path = copy / "assets.extra" / "tf_serving_warmup_requests"
    path.write_bytes(path.read_bytes()[:-9])
    reasons, _ = judge_export(copy, tmp_path / "out")
    assert "found a damaged record" in reasons[0]


def test_a_version_with_weights_of_nan_is_not_blessed(tmp_path):
    served = exports.small("moma")
    for weight in served.model.trainable_weights:
        weight.assign(np.full(weight.shape, np.nan))
    version = exports.publish(served, tmp_path / "moma")
    reasons, _ = validate_export(version, small_requests(version))
    (reason,) = [reason for reason in reasons if "(serving_default)" in reason]
    assert "probabilities: found values that are not finite" in reason


def test_a_version_of_another_signature_is_not_blessed(export, tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    archive = keras.export.ExportArchive()
    archive.track(model)
    spec = [keras.InputSpec(shape=(None, 3), dtype="float32")]
    archive.add_endpoint("serving_default", model.call, spec)
    archive.write_out(str(tmp_path / "1"), verbose=False)
    reasons, _ = validate_export(tmp_path / "1", small_requests(export[0]))
    assert "serving_default takes" in reasons[0]
    assert "serving_default gives" in reasons[1]
    assert all("no answer: " in reason for reason in reasons[2:])
    assert len(reasons) == 7


def test_a_process_that_takes_too_long_is_ended(export):
    reasons, _ = validate_export(export[0], small_requests(export[0]), timeout_s=0.5)
    assert reasons == [f"{export[0]}: no answer in 0.5 s from a process that has only TensorFlow."]


def test_the_process_has_tensorflow_and_none_of_this_projects_packages():
    packages = tensorflow_packages()
    assert {"tensorflow", "numpy", "google"} <= set(packages)
    assert not {"ser_keras", "serving", "tensorflow_io", "apache_beam", "librosa"} & set(packages)
    code = (
        f"import sys; sys.path.insert(0, {str(infra_probe.__file__)!r}.rpartition('/')[0])\n"
        "from infra_probe import AllowedPackagesFinder\n"
        f"sys.meta_path.insert(0, AllowedPackagesFinder({packages!r}))\n"
        "import json, numpy\n"
        "for name in ('ser_keras', 'serving.export.warmup', 'soundfile', 'tensorflow_io'):\n"
        "    try: __import__(name)\n"
        "    except ModuleNotFoundError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        f"No module named {name!r}"
        for name in ("ser_keras", "serving", "soundfile", "tensorflow_io")
    ]


def test_a_run_without_its_features_and_a_corpus_without_a_run_are_refused(export, tmp_path):
    version, run, _, corpus = export
    for options in ({"run": run}, {"corpus": corpus}):
        with pytest.raises(ConfigError, match="give both, run and features"):
            judge_export(version, tmp_path / "out", **options)
