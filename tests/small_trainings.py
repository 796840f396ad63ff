"""A configuration of the real model that trains in seconds."""

import pytest

from ser_keras.config import config_from_dict

TINY = {
    "epochs": 2,
    "select": "validation",
    "model": {
        "name": "alexnet_fcn",
        "options": {
            "width": 0.0625,
            "normalization": "batch",
            "input_channels": 1,
            "input_scaling": "standard",
            "attention_units": 8,
        },
    },
    "batch": {"size": 8, "class_weights": True},
    "augment": {
        "freq_masks": 1,
        "freq_mask_bins": 20,
        "time_masks": 1,
        "time_mask_frames": 20,
        "noise": 0.2,
        "gain": 0.1,
        "stretch": 0.1,
        "warp": 0.05,
        "mixup": 0.3,
    },
    "optimizer": {
        "name": "adamw",
        "learning_rate": 1e-3,
        "backbone_learning_rate": 1e-3,
        "weight_decay": 1e-2,
        "schedule": "cosine",
        "warmup_epochs": 1,
        "clip_norm": 1.0,
    },
}


@pytest.fixture
def tiny():
    """Returns a function that makes a tiny configuration with some values changed."""

    return tiny_config


def tiny_config(**changes):
    """Returns TINY with some values changed, without SpecAugment where it cannot run."""
    if not has_tensorflow_io():
        changes.setdefault("augment", {"noise": 0.2, "stretch": 0.1})
    return config_from_dict(TINY | changes)


def has_tensorflow_io() -> bool:
    """Whether SpecAugment can run here."""
    from importlib.util import find_spec

    return find_spec("tensorflow_io") is not None
