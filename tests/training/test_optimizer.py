import keras
import numpy as np
import pytest

from ser_keras.errors import ConfigError
from ser_keras.training.checkpoint import arrays_of
from ser_keras.training.config import OptimizerConfig
from ser_keras.training.optimizer import GroupedAdamW, make_optimizer, plateau_rate


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
    moved = [np.abs(one - other).max() for one, other in zip(after, before, strict=True)]
    # Adam's first step is the learning rate itself, whatever the gradient.
    np.testing.assert_allclose(moved, [0.001, 0.001, 0.01, 0.01], rtol=1e-3)


def test_the_rate_warms_up_and_falls_to_zero():
    config = OptimizerConfig(learning_rate=1e-2, warmup_epochs=2)
    schedule = make_optimizer(config, steps_per_epoch=10, epochs=12)._learning_rate
    rates = [float(schedule(step)) for step in range(121)]
    assert rates[0] == 0.0
    assert rates[20] == pytest.approx(1e-2)
    assert np.all(np.diff(rates[:21]) > 0)
    assert np.all(np.diff(rates[20:]) < 0)
    assert rates[120] == pytest.approx(0, abs=1e-9)


def test_biases_do_not_decay():
    network = model()
    optimizer = make_optimizer(OptimizerConfig(schedule="constant"), steps_per_epoch=1, epochs=1)
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


def test_a_plateau_is_counted_from_the_last_change():
    config = OptimizerConfig(learning_rate=1.0, plateau_patience=2)
    losses = [1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.6]
    rates = [plateau_rate(config, losses[:n]) for n in range(len(losses) + 1)]
    np.testing.assert_allclose(rates, [1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01])


def test_groups_are_for_adamw_alone():
    config = OptimizerConfig(name="sgd", backbone_learning_rate=1e-4)
    with pytest.raises(ConfigError, match="only adamw has groups"):
        make_optimizer(config, steps_per_epoch=1, epochs=1)
