"""What one step of the predictive VRNN does, and how a sequence is made of steps."""

import keras
import numpy as np
import pytest

from ser_keras.layers.predictive_cell import OUTPUTS, STATES, PredictiveCell
from ser_keras.layers.predictive_vrnn import PredictiveVRNN
from tests.reference import predictive_vrnn as reference

DIM, LATENT = 6, 3
SIZES = {
    "recognition_units": 5,
    "generation_units": 4,
    "classification_units": 7,
    "latent_dim": LATENT,
}
RNG = np.random.default_rng(8)
FRAMES = RNG.normal(size=(2, 5, DIM)).astype("float32")
MASK = np.arange(5)[None] < np.array([[5], [3]])


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def seeded(cell, seed=4):
    """Gives every part of the cell values of a NumPy seed; returns them for the oracle."""
    rng = np.random.default_rng(seed)
    values = {
        "normalizer": (0.0, 1.0),
        "classifier": (np.eye(cell.classification_units), 0.0),
    }
    for name in ("recognition", "latent", "generation", "next_input", "classification"):
        part = getattr(cell, name)
        values[name] = [rng.normal(scale=0.8, size=weight.shape) for weight in part.weights]
        part.set_weights(values[name])
    return values


@pytest.fixture
def cell():
    cell = PredictiveCell(DIM, **SIZES)
    cell.build((None, DIM))
    return cell


def test_the_threshold_is_the_mean_error_and_reaching_it_is_enough(cell):
    *memories, _, _ = cell.get_initial_state(1)
    prediction = np.array([[0.0, 1.0, 2.0, 0.0, 0.0, 0.0]], "float32")
    vector = np.array([[3.0, 1.0, -1.0, 2.0, -2.0, 2.0]], "float32")  # errors 3 0 3 2 2 2
    started = np.ones((1, 1), "float32")
    outputs, _ = cell(vector, [*map(numpy, memories), prediction, started])
    assert numpy(cell.parts(outputs)["attention"]).tolist() == [[1.0, 0.0, 1.0, 1.0, 1.0, 1.0]]


def test_a_start_sees_everything_whatever_the_prediction_in_the_state(cell):
    *memories, _, _ = map(numpy, cell.get_initial_state(1))
    state = [*memories, np.full((1, DIM), 9.0, "float32"), np.zeros((1, 1), "float32")]
    outputs, states = cell(FRAMES[:1, 0], state)
    assert (numpy(cell.parts(outputs)["attention"]) == 1.0).all()
    assert numpy(states[-1]).tolist() == [[1.0]]
    np.testing.assert_array_equal(states[-2], cell.parts(outputs)["prediction_mean"])


def test_states_and_parts_have_the_promised_sizes(cell):
    outputs, states = cell(FRAMES[:, 0], cell.get_initial_state(2))
    assert [tuple(state.shape) for state in states] == [(2, size) for size in cell.state_size]
    assert len(states) == len(STATES)
    assert tuple(outputs.shape) == (2, cell.output_size)
    parts = cell.parts(outputs)
    assert list(parts) == list(OUTPUTS)
    assert [part.shape[-1] for part in parts.values()] == cell.part_sizes


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("random", [True, False])
def test_steps_with_given_noise_and_dropout_equal_the_reference(attention, random):
    cell = PredictiveCell(DIM, **SIZES, attention=attention)
    cell.build((None, DIM))
    weights = seeded(cell)
    rng = np.random.default_rng(6)
    noise = rng.normal(size=(5, LATENT))
    keep = [rng.integers(0, 2, size=(5, units)) / 0.7 for units in (5, 4)]
    assert cell.random_dim == LATENT + 5 + 4
    options = {"noise": noise, "keep": keep} if random else {}
    expected = reference.forward(FRAMES[0], weights, attention=attention, **options)
    extra = np.concatenate([noise, *keep], axis=1).astype("float32") if random else [[]] * 5
    states = [numpy(state) for state in cell.get_initial_state(1)]
    for time in range(5):
        vector = np.concatenate([FRAMES[0, time], extra[time]]).astype("float32")
        outputs, states = cell(vector[None], [numpy(state) for state in states])
        parts = cell.parts(outputs)
        for name in OUTPUTS[:-1]:
            np.testing.assert_allclose(numpy(parts[name])[0], expected[name][time], atol=1e-5)
        logits = numpy(parts["classification"])[0]
        np.testing.assert_allclose(logits, expected["step_logits"][time], atol=1e-5)


@pytest.mark.parametrize(("shift", "limit"), [(100.0, 3.0), (-100.0, -6.0)])
def test_log_variances_stay_within_their_limits(cell, shift, limit):
    seeded(cell)
    for layer in (cell.latent, cell.next_input):
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel, bias + shift])
    outputs, _ = cell(FRAMES[:, 0], cell.get_initial_state(2))
    parts = cell.parts(outputs)
    for name in ("latent_log_variance", "prediction_log_variance"):
        assert (numpy(parts[name]) == limit).all()
    assert np.isfinite(numpy(outputs)).all()


@pytest.mark.parametrize("unroll", [False, True])
def test_the_layer_is_the_cell_under_keras_rnn(unroll):
    layer = PredictiveVRNN(**SIZES)
    outputs = layer(FRAMES, mask=MASK)
    options = {"return_sequences": True, "return_state": True, "zero_output_for_mask": True}
    rnn = keras.layers.RNN(layer.cell, unroll=unroll, **options)
    sequence, *states = rnn(FRAMES, mask=MASK)
    outputs = np.concatenate(outputs, axis=-1)
    # Keras 3.15 unrolled on JAX leaves the padding as it is.
    np.testing.assert_allclose(outputs[MASK], numpy(sequence)[MASK], atol=1e-6)
    assert not outputs[~MASK].any()
    _, *alone = rnn(FRAMES[1:, :3], mask=MASK[1:, :3])
    for state, same in zip(states, alone, strict=True):
        np.testing.assert_allclose(numpy(state)[1:], numpy(same), atol=1e-6)


def test_training_draws_noise_and_dropout_anew_for_every_step():
    layer = PredictiveVRNN(**SIZES, recognition_dropout=0.5, generation_dropout=0.5, seed=1)
    layer(FRAMES, mask=MASK)
    first = [numpy(part) for part in layer(FRAMES, mask=MASK, training=True)]
    second = [numpy(part) for part in layer(FRAMES, mask=MASK, training=True)]
    assert not np.allclose(first[1], second[1])
    noise, *kept = map(numpy, layer._random(50, 40))
    assert noise.shape == (50, 40, LATENT)
    np.testing.assert_allclose([noise.mean(), noise.std()], [0.0, 1.0], atol=0.05)
    for keep in kept:
        assert set(np.unique(keep)) == {0.0, 2.0}
        assert 0.9 < keep.mean() < 1.1
        assert (keep[:, 0] != keep[:, 1]).any()


def test_a_seed_repeats_the_training_pass():
    passes = []
    for _ in range(2):
        layer = PredictiveVRNN(**SIZES, recognition_dropout=0.3, seed=5)
        layer.build(FRAMES.shape)
        seeded(layer.cell)
        passes.append([numpy(part) for part in layer(FRAMES, mask=MASK, training=True)])
    for part, repeated in zip(*passes, strict=True):
        np.testing.assert_array_equal(part, repeated)


def test_inference_is_the_mean_and_does_not_vary():
    layer = PredictiveVRNN(**SIZES, recognition_dropout=0.5)
    first = layer(FRAMES, mask=MASK)
    for part, repeated in zip(first, layer(FRAMES, mask=MASK), strict=True):
        np.testing.assert_array_equal(part, repeated)


def test_multiplications_are_those_of_the_matrices():
    layer = PredictiveVRNN(**SIZES)
    outputs = layer(FRAMES, mask=MASK)
    kernels = [weight for weight in layer.weights if "bias" not in weight.name]
    assert layer.multiply_accumulates([tuple(part.shape) for part in outputs]) == 5 * sum(
        int(np.prod(kernel.shape)) for kernel in kernels
    )
