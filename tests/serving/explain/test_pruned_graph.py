"""Some signatures loaded alone answer as they do among all others, and need less."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from serving.explain.pruned_graph import load_pruned, signature_names
from serving.ready import ready_model
from serving.server.errors import RequestError
from serving.server.session import LoadedModel
from tests.serving import exports


@pytest.fixture(scope="module", params=["moma", "ready"])
def version(request):
    if request.param == "ready":
        return ready_model() / "1"
    _, folder = request.getfixturevalue("moma")
    return folder / "1"


def functions_of(loaded):
    return len(loaded.session.graph.as_graph_def().library.function)


def test_the_answers_are_the_same_and_the_graph_is_smaller(version):
    whole = LoadedModel(version, warm_up=False)
    assert signature_names(version) == set(whole.signatures)
    clip = exports.clips(1, seed=2, least=20000, most=20001)[0]
    inputs = {"waveform": clip[None], "length": np.array([len(clip)], np.int32)}
    for names in (["serving_default"], ["front_end", "explain"]):
        pruned = LoadedModel(version, warm_up=False, load=partial(load_pruned, names=names))
        assert set(pruned.signatures) == set(names)
        assert functions_of(pruned) < functions_of(whole)
        for name in names:
            expected = whole.run(name, inputs)
            outputs = pruned.run(name, inputs)
            assert outputs.keys() == expected.keys()
            for output, values in expected.items():
                np.testing.assert_array_equal(outputs[output], values)
        with pytest.raises(RequestError, match="wav_bytes"):
            pruned.run("wav_bytes", {"wav": np.array([b""], object)})
        pruned.close()
    whole.close()


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\x0anothing")
    with pytest.raises(RequestError):
        LoadedModel(tmp_path, warm_up=False, load=partial(load_pruned, names=["serving_default"]))
    with pytest.raises((OSError, ValueError, tf.errors.OpError)):
        signature_names(tmp_path)
