"""The recurrent layers against Keras's own, against the equations, and against the slope."""

import keras
import numpy as np
import pytest

from ser_keras.layers.projected_lstm import BidirectionalLSTM, ProjectedLSTM, recurrence, states
from tests.reference import lstm as reference

LENGTHS = (9, 4, 1)
DIM, UNITS = 5, 6
MASK = np.arange(9)[None] < np.array(LENGTHS)[:, None]
FRAMES = np.random.default_rng(5).normal(size=(3, 9, DIM)).astype("float32")


def seeded(layer, seed=1):
    """Builds the layer with weights of a NumPy seed; returns them."""
    if not layer.built:
        layer.build((None, None, DIM))
    rng = np.random.default_rng(seed)
    weights = [rng.normal(scale=0.5, size=weight.shape) for weight in layer.weights]
    layer.set_weights(weights)
    return weights


def keras_layer():
    return keras.layers.Bidirectional(keras.layers.LSTM(UNITS, return_sequences=True))


def outputs(layer, frames=FRAMES, mask=MASK):
    return keras.ops.convert_to_numpy(layer(frames, mask=mask))


@pytest.mark.parametrize("reverse", [False, True])
def test_outputs_equal_the_equations_and_are_zero_in_the_padding(reverse):
    layer = ProjectedLSTM(UNITS, reverse=reverse)
    weights = seeded(layer)
    garbage = np.where(MASK[..., None], FRAMES, np.nan).astype("float32")
    projected = outputs(layer, garbage)
    for row, length in enumerate(LENGTHS):
        frames = FRAMES[row, :length].astype(float)
        expected = reference.lstm(frames[::-1] if reverse else frames, *weights)
        expected = expected[::-1] if reverse else expected
        np.testing.assert_allclose(projected[row, :length], expected, atol=1e-5)
        assert (projected[row, length:] == 0).all()


def test_both_directions_stand_side_by_side():
    layer = BidirectionalLSTM(UNITS)
    weights = seeded(layer)
    projected = outputs(layer)
    for row, length in enumerate(LENGTHS):
        expected = reference.bidirectional_lstm(FRAMES[row, :length], weights[:3], weights[3:])
        np.testing.assert_allclose(projected[row, :length], expected, atol=1e-5)


def test_a_training_step_equals_that_of_keras():
    # Different factors for each output, so that no error of a gradient can hide.
    factors = np.random.default_rng(2).normal(size=(3, 9, 2 * UNITS)).astype("float32")
    targets = np.where(MASK[..., None], factors, 0).astype("float32")
    moved = []
    for layer in (BidirectionalLSTM(UNITS), keras_layer()):
        frames, mask = keras.Input((None, DIM)), keras.Input((None,), dtype="bool")
        front = keras.layers.Dense(DIM, name="front")
        model = keras.Model([frames, mask], layer(front(frames), mask=mask))
        seeded(front, 3)
        before = [*seeded(layer), *front.get_weights()]
        # Keras masks the loss by the attached mask; ours has zeros there, which the targets equal.
        model.compile(keras.optimizers.SGD(1.0), loss=_squares, jit_compile=False)
        model.train_on_batch([FRAMES, MASK], targets)
        after = [*layer.get_weights(), *front.get_weights()]
        moved.append([new - old for new, old in zip(after, before, strict=True)])
    assert all(np.abs(step).max() > 1e-3 for step in moved[0])
    for step, expected in zip(*moved, strict=True):
        np.testing.assert_allclose(step, expected, atol=1e-5)


def _squares(targets, predictions):
    return keras.ops.sum(keras.ops.square(targets - predictions)) / 10


def test_weights_have_the_names_order_and_start_of_keras():
    layer, reference_layer = BidirectionalLSTM(UNITS), keras_layer()
    for built in (layer, reference_layer):
        built.build((None, None, DIM))
    names = ["kernel", "recurrent_kernel", "bias"]
    assert [weight.name for weight in layer.weights] == 2 * names
    assert [weight.name for weight in reference_layer.weights] == 2 * names
    assert [w.shape for w in layer.weights] == [w.shape for w in reference_layer.weights]
    for direction in (layer.get_weights()[:3], layer.get_weights()[3:]):
        kernel, recurrent, bias = direction
        assert np.abs(kernel).max() <= np.sqrt(6 / (DIM + 4 * UNITS))
        np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(UNITS), atol=1e-5)
        np.testing.assert_array_equal(bias, reference_layer.get_weights()[2])


@pytest.mark.parametrize("reverse", [False, True])
def test_explicit_gradient_equals_that_of_the_backend(reverse):
    projected = np.random.default_rng(4).normal(size=(7, 3, 4 * UNITS)).astype("float32")

    class Loop(keras.layers.Layer):
        def __init__(self, function):
            super().__init__()
            self.function = function

        def build(self, shape):
            shapes = {"added": shape, "kernel": (UNITS, 4 * UNITS)}
            self.parts = [self.add_weight(name=name, shape=s) for name, s in shapes.items()]
            self.parts[0].assign(projected)

        def call(self, inputs):
            added, kernel = (keras.ops.convert_to_tensor(part) for part in self.parts)
            return self.function(added + inputs, kernel)

    def own(added, kernel):
        return recurrence(added, kernel, reverse)

    def automatic(added, kernel):
        return states(added, kernel, reverse)[0]

    moved = []
    for function in (own, automatic):
        keras.utils.set_random_seed(8)
        layer = Loop(function)
        model = keras.Sequential([keras.Input(batch_shape=projected.shape), layer])
        before = layer.get_weights()
        model.compile(keras.optimizers.SGD(1.0), loss=_squares, jit_compile=False)
        model.train_on_batch(np.zeros_like(projected), np.ones((7, 3, UNITS), "float32"))
        moved.append([a - b for a, b in zip(layer.get_weights(), before, strict=True)])
    for step, expected in zip(*moved, strict=True):
        assert np.abs(step).max() > 1e-3
        np.testing.assert_allclose(step, expected, atol=1e-5)


def test_state_is_float32_in_mixed_precision():
    layer = BidirectionalLSTM(UNITS, dtype="mixed_bfloat16")
    seeded(layer)
    assert keras.backend.standardize_dtype(layer(FRAMES, mask=MASK).dtype) == "bfloat16"
    added = keras.ops.zeros((2, 3, 4 * UNITS), "bfloat16")
    kernel = keras.ops.ones((UNITS, 4 * UNITS), "bfloat16")
    for tensor in states(added, kernel):
        assert keras.backend.standardize_dtype(tensor.dtype) == "float32"


def test_multiply_accumulates_count_input_and_state():
    layer = BidirectionalLSTM(UNITS)
    layer.build((None, None, DIM))
    assert layer.multiply_accumulates((1, 9, 2 * UNITS)) == 2 * 9 * (DIM + UNITS) * 4 * UNITS


def test_utterance_without_frames_says_nothing():
    assert (outputs(BidirectionalLSTM(UNITS), mask=np.zeros_like(MASK)) == 0).all()
