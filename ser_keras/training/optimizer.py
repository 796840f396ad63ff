"""The optimizers and their schedules. AdamW can train the backbone at a rate of its own."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from ser_keras.config import OptimizerConfig
from ser_keras.errors import ConfigError

BACKBONE = "conv"
# Names of biases, and of the scale and shift of normalisations.
UNDECAYED = ("bias", "gamma", "beta")
# Of PyTorch's ReduceLROnPlateau: `threshold`, relative to the best loss, and `eps`.
PLATEAU_THRESHOLD = 1e-4
LEAST_RATE_CHANGE = 1e-8


@keras.saving.register_keras_serializable(package="ser_keras")
class GroupedAdamW(keras.optimizers.AdamW):
    """AdamW whose learning rate is scaled for groups of variables.

    Implements Loshchilov and Hutter 2019, Algorithm 2. A group's weights decay at the group's rate,
    as they do with PyTorch's parameter groups.

    Args:
        multipliers: mapping of the start of a layer's name to the factor on its learning rate.
        undecayed: parts of names of variables that do not decay. They are saved with the
            optimizer, unlike the arguments of `exclude_from_weight_decay`.
        **kwargs: arguments of `keras.optimizers.AdamW`.

    Example:
        >>> optimizer = GroupedAdamW(multipliers={"conv": 0.1}, learning_rate=1e-3)
        >>> optimizer.multipliers
        {'conv': 0.1}
    """

    def __init__(
        self,
        multipliers: dict[str, float] | None = None,
        undecayed: Sequence[str] = (),
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.multipliers, self.undecayed = dict(multipliers or {}), list(undecayed)
        if self.undecayed:
            self.exclude_from_weight_decay(var_names=self.undecayed)

    def _apply_weight_decay(self, variables: Any) -> None:
        """Does nothing, because Keras would decay all groups at one rate; see `update_step`."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Decays and updates one variable, both at its group's rate."""
        # On TensorFlow this is a variable of TensorFlow, which has a name but no path.
        layers = getattr(variable, "path", variable.name).split("/")
        for prefix, factor in self.multipliers.items():
            if any(layer.startswith(prefix) for layer in layers):
                learning_rate = learning_rate * factor
        if self.weight_decay and self._use_weight_decay(variable):
            share = ops.cast(self.weight_decay * learning_rate, variable.dtype)
            self.assign_sub(variable, share * variable)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        own = {"multipliers": self.multipliers, "undecayed": self.undecayed}
        return super().get_config() | own


@keras.saving.register_keras_serializable(package="ser_keras")
class CoupledSGD(keras.optimizers.SGD):
    """Stochastic gradient descent with Nesterov's momentum and coupled weight decay.

    Implements the rule of PyTorch's SGD (Sutskever et al. 2013), for a gradient g of a variable w:
    g := g + decay w;  v := momentum v + g;  w := w - rate (g + momentum v).

    Args:
        coupled_decay: float. Share of a variable added to its gradient; no variable is exempt.
        **kwargs: arguments of `keras.optimizers.SGD`, but for `nesterov` and `weight_decay`.

    Example:
        >>> CoupledSGD(coupled_decay=1e-4, learning_rate=0.05, momentum=0.9).nesterov
        True

    Departures: Keras's own SGD applies the decay without momentum, which is 10 times less at a
        momentum of 0.9, and its velocity still contains the old rate when the rate falls.
    """

    def __init__(self, coupled_decay: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs | {"nesterov": True, "weight_decay": None})
        self.coupled_decay = coupled_decay

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable."""
        rate = ops.cast(learning_rate, variable.dtype)
        step = ops.cast(gradient, variable.dtype) + self.coupled_decay * variable
        if self.momentum:
            velocity = self.momentums[self._get_variable_index(variable)]
            self.assign(velocity, self.momentum * velocity + step)
            step = step + self.momentum * velocity
        self.assign_sub(variable, rate * step)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return super().get_config() | {"coupled_decay": self.coupled_decay}


def make_optimizer(
    config: OptimizerConfig, *, steps_per_epoch: int, epochs: int
) -> keras.optimizers.Optimizer:
    """Returns the optimizer of a run.

    Args:
        config: rates, schedule, decay and clipping.
        steps_per_epoch: int. Batches per epoch.
        epochs: int. Epochs over which the cosine falls to zero.

    Raises:
        ConfigError: a key that the optimizer does not use.
    """
    _check_keys(config)
    common = {
        "learning_rate": _schedule(config, steps_per_epoch, epochs),
        "global_clipnorm": config.clip_norm or None,
        "use_ema": config.ema > 0,
        "ema_momentum": config.ema,
    }
    if config.name == "sgd":
        return CoupledSGD(config.weight_decay, momentum=config.momentum, **common)
    common["epsilon"] = config.epsilon
    if config.name == "rmsprop":
        return keras.optimizers.RMSprop(rho=config.rho, **common)
    if config.name == "adam":
        return keras.optimizers.Adam(**common)
    backbone = config.backbone_learning_rate
    factor = 1.0 if backbone is None else backbone / config.learning_rate
    multipliers = {} if factor == 1.0 else {BACKBONE: factor}
    return GroupedAdamW(multipliers, UNDECAYED, weight_decay=config.weight_decay, **common)


# Keys that not all optimizers use, with the optimizers that do.
_USED_BY = {
    "backbone_learning_rate": ("adamw",),
    "weight_decay": ("adamw", "sgd"),
    "momentum": ("sgd",),
    "rho": ("rmsprop",),
    "epsilon": ("adamw", "adam", "rmsprop"),
}


def _check_keys(config: OptimizerConfig) -> None:
    """Raises ConfigError for a key that would have no effect."""
    neutral = OptimizerConfig()
    for key, names in _USED_BY.items():
        value = getattr(config, key)
        if config.name not in names and value != getattr(neutral, key):
            raise ConfigError(
                f"config: optimizer.{key} is {value} with optimizer.name {config.name!r}; only "
                f"{' and '.join(names)} can use it. Leave it out, or choose another optimizer."
            )
    if config.warmup_epochs and config.schedule != "cosine":
        raise ConfigError(
            f"config: optimizer.warmup_epochs is {config.warmup_epochs:g} with optimizer.schedule "
            f"{config.schedule!r}; only cosine can use it. Leave it out, or choose that schedule."
        )


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
    """Returns the rate of the next epoch after epochs with these losses, under `"plateau"`.

    Implements PyTorch's ReduceLROnPlateau with its defaults: a loss is better if it is below
    (1 - 1e-4) times the best so far. The rate falls after more than `plateau_patience` epochs in a
    row without a better loss, unless it would change by 1e-8 or less. The rate depends on past
    losses alone, so that a resumed run continues at the right rate.

    Args:
        config: rate, factor and patience.
        losses: of the epochs so far, on the validation part if there is one.

    Example:
        >>> config = OptimizerConfig(learning_rate=1.0, decay=0.1, plateau_patience=1)
        >>> [plateau_rate(config, [3.0, 2.0, 2.5, 2.5][:n]) for n in range(5)]
        [1.0, 1.0, 1.0, 1.0, 0.1]
    """
    rate, best, bad_epochs = config.learning_rate, float("inf"), 0
    for loss in losses:
        if loss < best * (1.0 - PLATEAU_THRESHOLD):
            best, bad_epochs = loss, 0
        else:
            bad_epochs += 1
        if bad_epochs > config.plateau_patience:
            lower, bad_epochs = rate * config.decay, 0
            rate = lower if rate - lower > LEAST_RATE_CHANGE else rate
    return rate
