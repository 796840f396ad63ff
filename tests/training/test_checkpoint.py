import keras
import numpy as np
import pytest

from ser_keras.errors import SchemaError
from ser_keras.files import write_json
from ser_keras.training.checkpoint import Checkpoint, arrays_of, assign, weights_sha256


@pytest.fixture
def variables():
    return [keras.Variable(np.arange(6.0).reshape(2, 3)), keras.Variable(np.ones(4))]


def test_what_was_saved_comes_back(tmp_path, variables):
    checkpoint = Checkpoint(tmp_path)
    checkpoint.save(variables, [np.zeros(2)], {"history": [{"loss": 0.5}]})
    values, best, meta = checkpoint.load()
    np.testing.assert_array_equal(values[0], np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(best[0], np.zeros(2))
    assert meta == {"history": [{"loss": 0.5}]}


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_state_falls_back_to_the_one_before(tmp_path, variables, share):
    checkpoint = Checkpoint(tmp_path)
    checkpoint.save(variables, [], {"epoch": 1})
    checkpoint.save(variables, [], {"epoch": 2})
    newest = checkpoint.paths[0]
    data = newest.read_bytes()
    newest.write_bytes(data[: int(len(data) * share)])
    assert checkpoint.load()[2] == {"epoch": 1}


def test_nothing_saved_is_nothing_loaded(tmp_path):
    assert Checkpoint(tmp_path).load() is None


def test_values_of_another_model_are_refused(variables):
    with pytest.raises(SchemaError, match=r"state\.npz: holds 1 arrays, expected 2"):
        assign(variables, [np.zeros((2, 3))], "state.npz")


def test_the_weights_hash_sees_one_changed_weight():
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(2)])
    before = weights_sha256(model)
    kernel = arrays_of(model.weights)[0]
    kernel[0, 0] = np.nextafter(kernel[0, 0], np.float32(9))
    model.weights[0].assign(kernel)
    assert weights_sha256(model) != before


def test_json_with_nan_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "result.json", {"ua": float("nan")})
    assert list(tmp_path.iterdir()) == []
