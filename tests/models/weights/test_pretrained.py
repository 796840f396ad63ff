"""Which models start from pretrained weights."""

import pytest

from ser_keras.errors import ConfigError
from ser_keras.models.weights.pretrained import weights_options


def test_models_without_pretrained_weights_refuse_them(tmp_path):
    with pytest.raises(ConfigError, match="model moma starts from random weights only"):
        weights_options("moma", tmp_path / "any.npy")
