"""What the verbs of a model refuse, and what they tell people to do instead."""

import shutil
import sys

import pytest
import soundfile

from ser_keras.errors import ConfigError
from serving import ready
from serving.explain.described_export import open_export
from tests.serving import exports


@pytest.fixture
def speech(tmp_path):
    path = tmp_path / "speech.wav"
    soundfile.write(path, exports.clips(1, seed=2, least=32000, most=32001)[0], exports.RATE)
    return path


def refused(ser, *line):
    """Returns the sentence with which a verb refuses a line as one that cannot be carried out."""
    code, out, err = ser(*line)
    assert (code, out) == (ConfigError.exit_code, "")
    return err


def test_a_server_is_asked_for_a_model_by_name(ser, speech):
    assert "--server: found no name of a model, expected one that the server has. Add --model." in (
        refused(ser, "predict", speech, "--server", "localhost:1")
    )


def test_files_of_tls_are_for_a_server(ser, speech):
    (speech.parent / "ca.pem").write_text("")
    certificate = ("--root-certificate", speech.parent / "ca.pem")
    assert "are for a --server, and none is given." in refused(ser, "predict", speech, *certificate)


@pytest.mark.parametrize("option", ["--window-s", "--hop-s"])
def test_an_endless_window_is_no_number_of_seconds(ser, speech, option):
    line = ("predict", speech, "--timeline", option, "inf")
    assert f"{option} inf: expected a number of seconds above 0." in refused(ser, *line)


def test_an_installation_without_the_ready_model_says_so(ser, speech, monkeypatch, tmp_path):
    monkeypatch.setattr(ready, "FOLDER", tmp_path / "ready")
    sentence = refused(ser, "predict", speech)
    assert f"ready model: found no folder {tmp_path / 'ready'}" in sentence
    assert "Install the package again, or name a model of your own with --model." in sentence


def test_a_model_that_describes_no_features_was_not_exported_by_ser(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(ready.FOLDER, folder)
    (folder / "1/assets.extra/model.json").unlink()
    with pytest.raises(ConfigError, match=r"found no assets\.extra/model\.json in .*/1, which"):
        open_export(folder)


def test_a_page_without_its_packages_says_how_to_install_them(ser, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "serving.web.page", raising=False)
    sentence = refused(ser, "web", "--port", "47290")
    assert "Install it with: pip install 'ser-keras[web,plot,serve]'" in sentence


def test_an_ensemble_takes_no_worth_of_another_model(ser, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/result.json").write_text('{"protocol": {}, "folds": [], "members": []}')
    (tmp_path / "worth.json").write_text("{}")
    line = ["export", tmp_path / "run", "--features", tmp_path, "--data-dir", tmp_path]
    sentence = refused(ser, *line, "--worth", tmp_path / "worth.json")
    assert "found an ensemble in" in sentence
    assert sentence.endswith("Leave out --worth.")
