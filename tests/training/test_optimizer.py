import keras
import numpy as np
import pytest

from ser_keras.training.checkpoint import arrays_of
from ser_keras.training.config import OptimizerConfig
from ser_keras.training.optimizer import GroupedAdamW, make_optimizer


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
