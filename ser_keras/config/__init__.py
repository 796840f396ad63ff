"""The settings of a training run: YAML in, every key and value checked, saved with each result."""

from ser_keras.config.recipes import (
    config_from_dict,
    load_config,
    recipe_names,
    recipe_path,
    recipe_purpose,
)
from ser_keras.config.sections import (
    AdaptationConfig,
    AugmentConfig,
    BatchConfig,
    ModelConfig,
    OptimizerConfig,
    TrainConfig,
    UnlabelledConfig,
)

__all__ = [
    "AdaptationConfig",
    "AugmentConfig",
    "BatchConfig",
    "ModelConfig",
    "OptimizerConfig",
    "TrainConfig",
    "UnlabelledConfig",
    "config_from_dict",
    "load_config",
    "recipe_names",
    "recipe_path",
    "recipe_purpose",
]
