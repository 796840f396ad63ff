import keras
import numpy as np
import pytest

from ser_keras.config import OptimizerConfig
from ser_keras.errors import ConfigError
from ser_keras.training.checkpoint import arrays_of
from ser_keras.training.optimizer import GroupedAdamW, make_optimizer, plateau_rate

COSINE = {"name": "adamw", "schedule": "cosine", "weight_decay": 1e-2, "clip_norm": 1.0}


def model():
    return keras.Sequential(
        [
            keras.layers.Input((3,)),
            keras.layers.Dense(3, name="conv1", kernel_initializer="ones"),
            keras.layers.Dense(2, name="classifier", kernel_initializer="ones"),
        ]
    )


def test_the_backbone_moves_at_its_own_rate():
    network = model()
    optimizer = GroupedAdamW(multipliers={"conv": 0.1}, learning_rate=0.01, weight_decay=0.0)
    optimizer.build(network.trainable_variables)
    before = arrays_of(network.trainable_variables)
    optimizer.apply([keras.ops.ones(v.shape) for v in network.trainable_variables])
    after = arrays_of(network.trainable_variables)
    moved = [np.abs(new - old).max() for new, old in zip(after, before, strict=True)]
    # Adam's first step is the learning rate itself, whatever the gradient.
    np.testing.assert_allclose(moved, [0.001, 0.001, 0.01, 0.01], rtol=1e-3)


def test_the_rate_warms_up_and_falls_to_zero():
    config = OptimizerConfig(**COSINE, learning_rate=1e-2, warmup_epochs=2)
    schedule = make_optimizer(config, steps_per_epoch=10, epochs=12)._learning_rate
    rates = [float(schedule(step)) for step in range(121)]
    assert rates[0] == 0.0
    assert rates[20] == pytest.approx(1e-2)
    assert np.all(np.diff(rates[:21]) > 0)
    assert np.all(np.diff(rates[20:]) < 0)
    assert rates[120] == pytest.approx(0, abs=1e-9)


def test_biases_do_not_decay_under_adamw():
    network = model()
    config = OptimizerConfig(name="adamw", weight_decay=1e-2)
    optimizer = make_optimizer(config, steps_per_epoch=1, epochs=1)
    optimizer.build(network.trainable_variables)
    for variable in network.trainable_variables:
        variable.assign(keras.ops.ones(variable.shape))
    optimizer.apply([keras.ops.zeros(v.shape) for v in network.trainable_variables])
    kernels, biases = network.trainable_variables[::2], network.trainable_variables[1::2]
    assert all(float(keras.ops.max(kernel)) < 1 for kernel in kernels)
    assert all(float(keras.ops.min(bias)) == 1 for bias in biases)


def test_it_survives_its_config():
    again = GroupedAdamW.from_config(GroupedAdamW(multipliers={"conv": 0.5}).get_config())
    assert again.multipliers == {"conv": 0.5}


def test_biases_do_not_decay_once_it_is_loaded_again():
    config = OptimizerConfig(name="adamw", weight_decay=1e-2)
    built = make_optimizer(config, steps_per_epoch=1, epochs=1)
    optimizer = keras.optimizers.deserialize(keras.optimizers.serialize(built))
    network = model()
    optimizer.build(network.trainable_variables)
    for variable in network.trainable_variables:
        variable.assign(keras.ops.ones(variable.shape))
    optimizer.apply([keras.ops.zeros(v.shape) for v in network.trainable_variables])
    kernel, bias = arrays_of(network.trainable_variables)[:2]
    np.testing.assert_allclose(kernel, 1 - 1e-5, rtol=1e-7)
    assert (bias == 1).all()


@pytest.mark.parametrize("name", ["adam", "rmsprop", "sgd"])
def test_every_optimizer_steps_downhill(name):
    network = model()
    optimizer = make_optimizer(
        OptimizerConfig(name=name, learning_rate=0.1, schedule="constant", weight_decay=0.0),
        steps_per_epoch=1,
        epochs=1,
    )
    optimizer.build(network.trainable_variables)
    optimizer.apply([keras.ops.ones(v.shape) for v in network.trainable_variables])
    kernels = arrays_of(network.trainable_variables)[::2]
    assert all((kernel < 1).all() for kernel in kernels)


def test_the_rate_falls_at_the_first_step_of_each_milestone():
    config = OptimizerConfig(learning_rate=1.0, schedule="steps", milestones=[3, 5])
    schedule = make_optimizer(config, steps_per_epoch=10, epochs=6)._learning_rate
    rates = [float(schedule(step)) for step in (0, 19, 20, 39, 40, 59)]
    np.testing.assert_allclose(rates, [1.0, 1.0, 0.1, 0.1, 0.01, 0.01])


def pytorch_plateau(losses, rate, factor, patience, threshold=1e-4, eps=1e-8):
    """Returns the rate after each loss by PyTorch's documentation of ReduceLROnPlateau, mode min.

    "Threshold for measuring the new optimum": rel, so dynamic_threshold = best * (1 - threshold).
    "Patience: the number of allowed epochs with no improvement after which the learning rate will
    be reduced. With patience = 2, ignore the first 2 epochs with no improvement, and reduce after
    the 3rd." "If the difference between new and old lr is smaller than eps, the update is ignored."
    """
    rates, best, without = [], None, 0
    for loss in losses:
        if best is None or loss < best - threshold * best:
            best, without = loss, 0
        else:
            without = without + 1
        if without == patience + 1:
            without = 0
            if abs(rate - rate * factor) > eps:
                rate = rate * factor
        rates.append(rate)
    return rates


@pytest.mark.parametrize("seed", range(10))
def test_the_plateau_is_that_of_pytorch(seed):
    rng = np.random.default_rng(seed)
    patience = int(rng.integers(0, 6))
    # Falls that end, with noise, and steps around the threshold.
    losses = np.maximum(2.0 * 0.97 ** np.arange(80), rng.uniform(0.3, 1.5))
    losses = losses * (1 + rng.normal(size=80) * 10.0 ** rng.integers(-5, -1))
    config = OptimizerConfig(learning_rate=1e-3, decay=0.1, plateau_patience=patience)
    rates = [plateau_rate(config, losses[: n + 1]) for n in range(len(losses))]
    expected = pytorch_plateau(losses, 1e-3, 0.1, patience)
    assert len(set(expected)) > 1
    np.testing.assert_allclose(rates, expected, rtol=1e-9)


def test_the_rate_falls_after_the_fifth_epoch_without_a_lower_loss():
    config = OptimizerConfig(learning_rate=1.0, plateau_patience=4)
    rates = [plateau_rate(config, [1.0] + [1.0] * bad) for bad in range(7)]
    np.testing.assert_allclose(rates, [1, 1, 1, 1, 1, 0.1, 0.1])


def test_a_loss_that_falls_by_less_than_a_ten_thousandth_is_not_lower():
    config = OptimizerConfig(learning_rate=1.0, plateau_patience=0)
    assert plateau_rate(config, [1.0, 0.99995]) == pytest.approx(0.1)
    assert plateau_rate(config, [1.0, 0.9998]) == 1.0


def test_sgd_decays_as_in_pytorch():
    """500 steps of zero gradient, beside the rule written out for each variable."""
    network = model()
    config = OptimizerConfig(name="sgd", learning_rate=0.05, momentum=0.9, weight_decay=1e-4)
    optimizer = make_optimizer(config, steps_per_epoch=1, epochs=1)
    variables = network.trainable_variables
    optimizer.build(variables)
    for variable in variables:
        variable.assign(keras.ops.ones(variable.shape))
    for _ in range(500):
        optimizer.apply([keras.ops.zeros(v.shape) for v in variables])
    weight, velocity = 1.0, 0.0
    for _ in range(500):
        gradient = 0.0 + 1e-4 * weight
        velocity = 0.9 * velocity + gradient
        weight -= 0.05 * (gradient + 0.9 * velocity)
    assert 0.97 < weight < 0.98
    for values in arrays_of(variables):
        np.testing.assert_allclose(values, weight, atol=1e-6)


def test_sgd_steps_as_in_pytorch_when_the_rate_falls():
    rng = np.random.default_rng(0)
    network = model()
    config = OptimizerConfig(
        **{"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "weight_decay": 1e-2},
        **{"schedule": "steps", "milestones": [6], "decay": 0.1},
    )
    optimizer = make_optimizer(config, steps_per_epoch=10, epochs=6)
    variables = network.trainable_variables
    optimizer.build(variables)
    weights = [value.astype(np.float64) for value in arrays_of(variables)]
    velocities = [np.zeros_like(weight) for weight in weights]
    for step in range(60):
        gradients = [rng.normal(size=weight.shape) for weight in weights]
        optimizer.apply([keras.ops.convert_to_tensor(g, "float32") for g in gradients])
        rate = 0.05 if step < 50 else 0.005
        for weight, velocity, gradient in zip(weights, velocities, gradients, strict=True):
            velocity[:] = 0.9 * velocity + (gradient + 1e-2 * weight)
            weight -= rate * (gradient + 1e-2 * weight + 0.9 * velocity)
    for values, weight in zip(arrays_of(variables), weights, strict=True):
        np.testing.assert_allclose(values, weight, atol=2e-5)


def test_the_backbone_decays_at_its_own_rate():
    network = model()
    config = OptimizerConfig(
        name="adamw", learning_rate=1e-2, backbone_learning_rate=1e-3, weight_decay=0.1
    )
    optimizer = make_optimizer(config, steps_per_epoch=1, epochs=1)
    variables = network.trainable_variables
    optimizer.build(variables)
    for _ in range(10):
        optimizer.apply([keras.ops.zeros(v.shape) for v in variables])
    backbone, _, head, _ = arrays_of(variables)
    np.testing.assert_allclose(backbone, (1 - 1e-3 * 0.1) ** 10, rtol=1e-6)
    np.testing.assert_allclose(head, (1 - 1e-2 * 0.1) ** 10, rtol=1e-6)


def test_rmsprop_takes_rho_and_epsilon():
    network = model()
    config = OptimizerConfig(name="rmsprop", learning_rate=0.1, rho=0.99, epsilon=1e-10)
    optimizer = make_optimizer(config, steps_per_epoch=1, epochs=1)
    variables = network.trainable_variables
    optimizer.build(variables)
    # Small enough for an epsilon of 1e-7 to halve the step.
    for _ in range(2):
        optimizer.apply([keras.ops.full(v.shape, 1e-3) for v in variables])
    mean_square, weight = 0.0, 1.0
    for _ in range(2):
        mean_square = 0.99 * mean_square + 0.01 * 1e-6
        weight -= 0.1 * 1e-3 / np.sqrt(mean_square + 1e-10)
    np.testing.assert_allclose(arrays_of(variables)[0], weight, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("sgd", "backbone_learning_rate", 1e-4),
        ("adam", "weight_decay", 1e-2),
        ("adamw", "momentum", 0.9),
        ("adam", "rho", 0.99),
        ("sgd", "epsilon", 1e-10),
        # Neither has the constant schedule a warm-up.
        ("adam", "warmup_epochs", 3.0),
    ],
)
def test_a_key_without_effect_is_refused(name, key, value):
    with pytest.raises(ConfigError, match=f"optimizer.{key} is .* can use it"):
        make_optimizer(OptimizerConfig(name=name, **{key: value}), steps_per_epoch=1, epochs=1)
