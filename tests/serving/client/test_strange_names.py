"""A server whose model has terminal escapes and line ends for names."""

import json

import pytest
import soundfile
import tensorflow as tf

from ser_keras.cli.app import main
from serving.server.config_files import ModelEntry
from serving.server.server import Server, ServerOptions
from tests.serving import exports

RED = "\x1b]0;owned\x07\x1b[31mred"
FORGED = "b\nspeech.wav 0.0-1.0 s: happy 100 %"


class Strange(tf.Module):
    """Answers every waveform in the same way."""

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, None), tf.float32, "waveform"),
            tf.TensorSpec((None,), tf.int32, "length"),
        ]
    )
    def answer(self, waveform, length):
        count = tf.shape(waveform)[0] + 0 * tf.reduce_max(length)
        return {
            "probabilities": tf.tile([[0.6, 0.4]], (count, 1)),
            "label": tf.fill([count], RED),
            "classes": tf.tile([[RED, FORGED]], (count, 1)),
        }


@pytest.fixture(scope="module")
def strange_server(tmp_path_factory):
    """host:port of a server with the model `strange`."""
    folder = tmp_path_factory.mktemp("models") / "strange"
    module = Strange()
    tf.saved_model.save(module, str(folder / "1"), {"serving_default": module.answer})
    running = Server([ModelEntry("strange", folder)], ServerOptions(port=0, trust=True))
    running.start()
    yield f"localhost:{running.port}"
    running.stop()


@pytest.fixture
def printed(strange_server, tmp_path, monkeypatch, capfd):
    """Returns what `ser predict` prints to standard output and error, to the character."""
    path = tmp_path / "speech.wav"
    soundfile.write(path, exports.clips(1, seed=2, least=16000)[0], exports.RATE)

    def run(*options, model="strange"):
        line = ["ser", "predict", str(path), "--server", strange_server, "--model", model]
        monkeypatch.setattr("sys.argv", [*line, *options])
        with pytest.raises(SystemExit):
            main()
        return capfd.readouterr()

    return run


def test_names_are_printed_as_text_on_one_line(printed):
    (line,) = printed().out.splitlines()
    assert r"\u001b]0;owned" in line
    assert r"b\nspeech.wav 0.0-1.0 s: happy 100 % 40 %" in line
    assert "\x1b" not in line


def test_json_stays_valid_and_keeps_the_names(printed):
    (line,) = printed("--json").out.splitlines()
    assert list(json.loads(line)["probabilities"]) == [RED, FORGED]


def test_what_a_server_refuses_is_one_line(printed):
    error = printed(model="no\x1b[2J\nmodel").err
    assert "NOT_FOUND" in error
    assert "\x1b" not in error
