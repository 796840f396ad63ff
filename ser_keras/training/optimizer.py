"""The optimizers and their schedules; AdamW can give the backbone a rate of its own."""

from collections.abc import Sequence
from typing import Any

import keras

from ser_keras.errors import ConfigError
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

    Raises:
        ConfigError: a backbone's rate of its own for another optimizer than AdamW.
    """
    common = {
        "learning_rate": _schedule(config, steps_per_epoch, epochs),
        "weight_decay": config.weight_decay or None,
        "global_clipnorm": config.clip_norm or None,
        "use_ema": config.ema > 0,
        "ema_momentum": config.ema,
    }
    if config.backbone_learning_rate is not None and config.name != "adamw":
        raise ConfigError(
            f"config: optimizer.backbone_learning_rate is {config.backbone_learning_rate} with "
            f"optimizer.name {config.name!r}; only adamw has groups. Leave it out, or take adamw."
        )
    optimizer: keras.optimizers.Optimizer
    if config.name == "adamw":
        backbone = config.backbone_learning_rate
        share = 1.0 if backbone is None else backbone / config.learning_rate
        optimizer = GroupedAdamW(
            multipliers={} if share == 1.0 else {BACKBONE: share},
            **common | {"weight_decay": config.weight_decay},
        )
    elif config.name == "sgd":
        optimizer = keras.optimizers.SGD(momentum=config.momentum, nesterov=True, **common)
    else:
        kind = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}[config.name]
        optimizer = kind(**common)
    if config.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _schedule(config: OptimizerConfig, steps_per_epoch: int, epochs: int) -> Any:
    if config.schedule in ("constant", "plateau"):
        return config.learning_rate
    if config.schedule == "steps":
        boundaries = [(epoch - 1) * steps_per_epoch - 1 for epoch in config.milestones]
        rates = [config.learning_rate * config.decay**k for k in range(len(boundaries) + 1)]
        return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates)
    warmup = round(config.warmup_epochs * steps_per_epoch)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else config.learning_rate,
        decay_steps=max(1, epochs * steps_per_epoch - warmup),
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )


def plateau_rate(config: OptimizerConfig, losses: Sequence[float]) -> float:
    """Returns the rate of the epoch after those with these losses, under `"plateau"`.

    A function of the past alone, so that a resumed run goes on at the right rate.

    Args:
        config: rate, factor and patience.
        losses: of the epochs so far, on the validation part where there is one.

    Example:
        >>> config = OptimizerConfig(learning_rate=1.0, decay=0.1, plateau_patience=2)
        >>> [plateau_rate(config, [3.0, 2.0, 2.5, 2.5][:n]) for n in range(5)]
        [1.0, 1.0, 1.0, 1.0, 0.1]
    """
    rate, best, waited = config.learning_rate, float("inf"), 0
    for loss in losses:
        waited = 0 if loss < best else waited + 1
        best = min(best, loss)
        if waited >= config.plateau_patience:
            rate, waited = rate * config.decay, 0
    return rate
