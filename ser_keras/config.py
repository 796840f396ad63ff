"""One typed description of a run: YAML in, unknown keys refused, saved with every result."""

import dataclasses
import hashlib
import json
import types
import typing
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from ser_keras.errors import ConfigError, unknown_name

OPTIMIZERS = ("adamw", "adam", "rmsprop", "sgd")
SCHEDULES = ("cosine", "constant", "steps", "plateau")


@dataclass(frozen=True)
class ModelConfig:
    """Which model, with which options of its function in `ser_keras.models`.

    Args:
        name: str. A name in `ser_keras.models.MODELS`.
        options: mapping. Keyword arguments of that model.
        weights: str or None. A file of pretrained backbone weights; None starts from random ones.
    """

    name: str = "alexnet_fcn"
    options: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None


@dataclass(frozen=True)
class BatchConfig:
    """How utterances become batches.

    Args:
        size: int. Utterances per batch.
        bucket_frames: int. Batches hold utterances of similar lengths; on backends that compile
            once per shape they are padded to a multiple of this many frames.
        class_weights: bool. Weight each utterance by the inverse share of its class in the fold.
        cache_gb: float. Keep the fold in memory up to this size; larger folds are read each epoch.
        segment_frames: int. Cut utterances into segments of so many frames; an utterance's
            probabilities are then the mean over its segments. 0 keeps utterances whole.
        segment_hop: int. Frames between the starts of two training segments.
        test_hop: int. The same in validation and test.
        drop_shorter_s: float. Leave out recordings shorter than this, in training and test; the
            result says how many. 0 keeps all.
    """

    size: int = 16
    bucket_frames: int = 40
    class_weights: bool = False
    cache_gb: float = 4.0
    segment_frames: int = 0
    segment_hop: int = 0
    test_hop: int = 0
    drop_shorter_s: float = 0.0


@dataclass(frozen=True)
class UnlabelledConfig:
    """Which training utterances keep their labels, and what becomes of the others.

    Args:
        label_fraction: float. Share of the training utterances of each class that keep their
            labels, drawn with the run's seed.
        use: bool. Train on the others as unlabelled utterances; else they are left out.
        size: int. Unlabelled utterances per batch, beside the labelled ones; 0 is as many.
    """

    label_fraction: float = 1.0
    use: bool = True
    size: int = 0


@dataclass(frozen=True)
class AugmentConfig:
    """What is done to training utterances alone, afresh in every epoch. Zeros switch a part off.

    Args:
        freq_masks: int. Number of frequency masks (SpecAugment).
        freq_mask_bins: int. Largest width of one, in feature bins.
        time_masks: int. Number of time masks (SpecAugment).
        time_mask_frames: int. Largest width of one, in frames.
        noise: float. Deviation of added Gaussian noise, in deviations of each bin.
        gain: float. Deviation of a shift of the whole utterance, in deviations of each bin. On
            logarithmic features this is another recording level.
        stretch: float. Largest relative change of tempo, by interpolation between frames.
        warp: float. Largest relative change of the frequency scale, as of a vocal tract's length.
        mixup: float. Parameter of the Beta(a, a) distribution that mixes pairs within a batch.
    """

    freq_masks: int = 0
    freq_mask_bins: int = 0
    time_masks: int = 0
    time_mask_frames: int = 0
    noise: float = 0.0
    gain: float = 0.0
    stretch: float = 0.0
    warp: float = 0.0
    mixup: float = 0.0


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer and its schedule. Every default is neutral: a recipe names what it changes.

    Args:
        name: str. `"adamw"`, `"adam"`, `"rmsprop"` or `"sgd"` (Nesterov).
        learning_rate: float. Peak rate of the layers outside the backbone.
        backbone_learning_rate: float or None. Peak rate of the convolutional backbone, where that
            is another; for `"adamw"` alone.
        weight_decay: float. For `"adamw"` decoupled: each step takes this share times the rate of
            its group off every weight; biases and normalisation are exempt. For `"sgd"` coupled, as
            in PyTorch: this share of every variable is added to its gradient.
        momentum: float. Of `"sgd"`.
        rho: float. Share of the old mean square that `"rmsprop"` keeps at each step.
        epsilon: float. What `"adamw"`, `"adam"` and `"rmsprop"` add to keep the divisor positive;
            `"rmsprop"` adds it under the root.
        schedule: str. `"constant"`, `"cosine"` (to zero at the last epoch), `"steps"` (times
            `decay` at each of `milestones`) or `"plateau"` (PyTorch's ReduceLROnPlateau: times
            `decay` where the loss on the validation part, or the training loss without one, has not
            fallen by a ten-thousandth for more than `plateau_patience` epochs).
        milestones: list of int. Epochs, from 1, that begin with a smaller rate.
        decay: float. Factor on the rate.
        plateau_patience: int. Epochs without a lower loss that leave the rate as it is.
        warmup_epochs: float. Linear warm-up before the cosine.
        clip_norm: float. Largest global norm of a gradient; 0 switches clipping off.
        label_smoothing: float. Share of the target spread over all classes.
        ema: float. Momentum of a moving average of the weights, over steps; validation and test
            use the average. 0 switches it off.
    """

    name: str = "adam"
    learning_rate: float = 1e-3
    backbone_learning_rate: float | None = None
    weight_decay: float = 0.0
    momentum: float = 0.0
    rho: float = 0.9
    epsilon: float = 1e-7
    schedule: str = "constant"
    milestones: list[int] = field(default_factory=list)
    decay: float = 0.1
    plateau_patience: int = 4
    warmup_epochs: float = 0.0
    clip_norm: float = 0.0
    label_smoothing: float = 0.0
    ema: float = 0.0


@dataclass(frozen=True)
class TrainConfig:
    """A whole training run.

    Args:
        spec: str. Name of the feature spec the recipe was made for.
        settings: str. `"paper"` where model and training are the paper's own, `"ours"` where they
            were changed for small corpora; results say which.
        epochs: int. Number of epochs, or the most there may be with early stopping.
        select: str. `"validation"` keeps the epoch with the best validation UA; `"last"` trains on
            the training and validation parts for exactly `epochs` epochs.
        patience: int. Epochs without a better validation UA before training stops.
        seed: int. Seed of everything random; each fold derives its own.
        precision: str. `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`.
        normalizer: str. `"unit"`, `"standard"` or `"none"`, see `FeatureStatistics.affine`.
        objective: mapping. Options of what the model is trained for, see
            `ser_keras.models.objective_of`.
        jit_compile: bool. Compile the training step with XLA: quicker for recurrent models, slower
            for convolutions on CPUs.
        model, batch, unlabelled, augment, optimizer: the sections.
    """

    spec: str = "spectrogram200"
    settings: str = "ours"
    epochs: int = 60
    select: str = "validation"
    patience: int = 15
    seed: int = 0
    precision: str = "float32"
    normalizer: str = "standard"
    jit_compile: bool = False
    objective: dict[str, float | str] = field(default_factory=dict)
    model: ModelConfig = field(default_factory=ModelConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    unlabelled: UnlabelledConfig = field(default_factory=UnlabelledConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)

    def __post_init__(self) -> None:
        _one_of("settings", self.settings, ("paper", "ours"))
        _one_of("select", self.select, ("validation", "last"))
        _one_of("precision", self.precision, ("float32", "mixed_bfloat16", "mixed_float16"))
        _one_of("normalizer", self.normalizer, ("unit", "standard", "none"))
        _one_of("optimizer.name", self.optimizer.name, OPTIMIZERS)
        _one_of("optimizer.schedule", self.optimizer.schedule, SCHEDULES)
        least = {"epochs": self.epochs, "batch.size": self.batch.size}
        if self.batch.segment_frames:
            least |= {"batch.segment_hop": self.batch.segment_hop}
            least |= {"batch.test_hop": self.batch.test_hop}
        for name, value in least.items():
            if value < 1:
                raise ConfigError(f"config: {name} is {value}, expected at least 1.")
            if name.endswith("hop") and value > self.batch.segment_frames:
                raise ConfigError(
                    f"config: {name} is {value}, more than batch.segment_frames "
                    f"({self.batch.segment_frames}): frames between two segments would be left "
                    "out. Choose a shorter hop."
                )
        for name in ("learning_rate", "backbone_learning_rate"):
            rate = getattr(self.optimizer, name)
            if rate is not None and not rate > 0:
                raise ConfigError(f"config: optimizer.{name} is {rate:g}, expected more than 0.")
        if not 0 < self.unlabelled.label_fraction <= 1:
            raise ConfigError(
                f"config: unlabelled.label_fraction is {self.unlabelled.label_fraction}, expected "
                "more than 0 and at most 1."
            )

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as YAML and JSON write them."""
        return dataclasses.asdict(self)

    @property
    def sha256(self) -> str:
        """Hash of the resolved configuration; two runs with one hash ask for the same training."""
        asked = {key: value for key, value in self.to_dict().items() if key != "settings"}
        text = json.dumps(asked, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _one_of(key: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(unknown_name(f"value of {key}", str(value), known))


def config_from_dict(values: dict[str, Any], where: str = "config") -> TrainConfig:
    """Returns the configuration of plain values.

    Raises:
        ConfigError: an unknown key (the nearest valid one is named) or a value of a wrong type.

    Example:
        >>> config_from_dict({"epochs": 3, "batch": {"size": 8}}).batch.size
        8
    """
    return _build(TrainConfig, values, where)


def _build(cls: type, values: Any, where: str) -> Any:
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: found {values!r}, expected a mapping of keys to values.")
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for key in values:
        if key not in fields:
            raise ConfigError(f"{where}: {unknown_name('key', str(key), fields)}")
    hints = typing.get_type_hints(cls)
    return cls(
        **{key: _convert(hints[key], value, f"{where}.{key}") for key, value in values.items()}
    )


def _convert(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast(type, hint), value, where)
    if isinstance(hint, types.UnionType):
        kinds = typing.get_args(hint)
        if value is None and type(None) in kinds:
            return None
        if str in kinds and isinstance(_as_float(value), str):
            return value
        hint = kinds[0]
    kind = typing.get_origin(hint) or hint
    if kind is float and not isinstance(value, bool):
        value = _as_float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ConfigError(f"{where}: found {value!r}, expected a value of type {kind.__name__}.")
    if kind is dict:
        _, values = typing.get_args(hint)
        return (
            value
            if values is Any
            else {k: _convert(values, v, f"{where}.{k}") for k, v in value.items()}
        )
    if kind is list:
        (values,) = typing.get_args(hint)
        return [_convert(values, one, f"{where}[{place}]") for place, one in enumerate(value)]
    return value


def _as_float(value: Any) -> Any:
    """Returns a whole number or a numeral as float: YAML 1.1 reads 1e-3 (no dot) as text."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def recipe_names() -> list[str]:
    """Returns the names of the recipes that come with the project."""
    folder = resources.files("ser_keras") / "recipes"
    return sorted(
        f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")
    )


def load_config(recipe: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> TrainConfig:
    """Returns the configuration of a recipe, with `key.key=value` overrides applied.

    Args:
        recipe: name of a recipe of the project, or path of a YAML file.
        overrides: assignments such as `"optimizer.learning_rate=1e-4"`; values are read as YAML.

    Raises:
        ConfigError: unknown recipe or key, or text that is not YAML.
    """
    text = recipe_path(recipe).read_text(encoding="utf-8")
    try:
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{recipe}: not readable as YAML: {error}") from error
    for assignment in overrides:
        _apply(values, assignment)
    return config_from_dict(values, where=str(recipe))


def recipe_path(recipe: str | Path) -> Path:
    """Returns the file of a recipe.

    Args:
        recipe: name of a recipe of the project, or path of a YAML file.

    Raises:
        ConfigError: no such recipe or file.
    """
    path = Path(recipe)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise ConfigError(f"recipe {path}: found no file there; known: {recipe_names()}.")
        return path
    if str(recipe) not in recipe_names():
        raise ConfigError(unknown_name("recipe", str(recipe), recipe_names()))
    return Path(str(resources.files("ser_keras") / "recipes" / f"{recipe}.yaml"))


def _apply(values: dict[str, Any], assignment: str) -> None:
    key, equals, text = assignment.partition("=")
    if not equals:
        raise ConfigError(f"--set {assignment}: expected KEY=VALUE, such as epochs=20.")
    *parents, last = key.strip().split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise ConfigError(f"--set {assignment}: {parent} is a value, not a section.")
    values[last] = yaml.safe_load(text)
