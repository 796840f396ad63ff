"""AdamW with a rate of its own for the backbone, under a warm-up and cosine schedule."""

from typing import Any

import keras

from ser_keras.training.config import OptimizerConfig

BACKBONE = "conv"


@keras.saving.register_keras_serializable(package="ser_keras")
class GroupedAdamW(keras.optimizers.AdamW):
    """AdamW (Loshchilov and Hutter 2019) whose learning rate is scaled for groups of variables.

    Args:
        multipliers: mapping of the start of a layer's name to the factor on its learning rate.
        **kwargs: arguments of `keras.optimizers.AdamW`.

    Example:
        >>> optimizer = GroupedAdamW(multipliers={"conv": 0.1}, learning_rate=1e-3)
        >>> optimizer.multipliers
        {'conv': 0.1}
    """

    def __init__(self, multipliers: dict[str, float] | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.multipliers = dict(multipliers or {})

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable, at its group's rate."""
        # TensorFlow hands over its own variable, which has a name but no path.
        layers = getattr(variable, "path", variable.name).split("/")
        for prefix, factor in self.multipliers.items():
            if any(layer.startswith(prefix) for layer in layers):
                learning_rate = learning_rate * factor
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return super().get_config() | {"multipliers": self.multipliers}


def make_optimizer(
    config: OptimizerConfig, *, steps_per_epoch: int, epochs: int
) -> keras.optimizers.Optimizer:
    """Returns the optimizer of a run.

    Args:
        config: rates, schedule, decay and clipping.
        steps_per_epoch: int. Batches per epoch.
        epochs: int. Epochs over which the cosine falls to zero.
    """
    optimizer = GroupedAdamW(
        multipliers={BACKBONE: config.backbone_learning_rate / config.learning_rate},
        learning_rate=_schedule(config, steps_per_epoch, epochs),
        weight_decay=config.weight_decay,
        global_clipnorm=config.clip_norm or None,
        use_ema=config.ema > 0,
        ema_momentum=config.ema,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _schedule(config: OptimizerConfig, steps_per_epoch: int, epochs: int) -> Any:
    if config.schedule == "constant":
        return config.learning_rate
    warmup = round(config.warmup_epochs * steps_per_epoch)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else config.learning_rate,
        decay_steps=max(1, epochs * steps_per_epoch - warmup),
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
