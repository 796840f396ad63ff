"""One convolution, averaged and classified: the model of the filter study."""

import keras
import numpy as np
import pytest

from ser_keras.errors import ConfigError
from ser_keras.models import build_model
from ser_keras.models.cost import multiply_accumulates
from tests.harness import batch_of, check_model
from tests.models.test_attention_cnn import LOWEST, magnitudes, seeded
from tests.reference import attention_cnn as reference

DIM = 21


def small(**options):
    settings = {"filters": 6, "minimum_frames": 20, **options}
    return build_model("filter_study", num_classes=4, dim=DIM, **settings)


@pytest.mark.parametrize(("height", "width"), [(10, 2), (2, 8), (30, 1), (1, 25)])
@pytest.mark.parametrize("scaling", ["mu_law", "standard"])
def test_logits_equal_the_reference(height, width, scaling):
    model = small(height=height, width=width, input_scaling=scaling)
    weights = seeded(model)
    utterances = magnitudes((24, 7, 1))
    outputs = model(batch_of(utterances))
    logits, attention, _ = reference.forward(
        utterances, weights, head="gap", pool_after=(), lowest=LOWEST[scaling]
    )
    np.testing.assert_allclose(outputs["logits"], logits, atol=1e-4)
    np.testing.assert_allclose(outputs["attention"][1, :, :7], attention[1], atol=1e-6)
    assert float(keras.ops.sum(outputs["attention"][1, :, 7:])) == 0


def test_model_keeps_the_contract(tmp_path):
    check_model(
        lambda: small(height=5, width=3, filters=32),
        dim=DIM,
        num_classes=4,
        tmp_path=tmp_path,
        lengths=(2, 3),
        steps=400,
    )


def test_full_size_has_the_published_layers():
    model = build_model("filter_study", num_classes=4, dim=400, height=100, width=2)
    assert tuple(model.get_layer("conv1").kernel.shape) == (100, 2, 1, 16)
    assert tuple(model.get_layer("classifier").kernel.shape) == (16, 4)
    expected = 400 * 200 * 100 * 2 * 16 + 16 * 4
    assert multiply_accumulates(model, frames=197) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"height": 0}, "height=0"),
        ({"width": 2.5}, "width=2.5"),
        ({"filters": "16"}, "filters='16'"),
        ({"input_scaling": "mu"}, "Known: mu_law, mu_law_unit, standard"),
        ({"hight": 3}, "did you mean 'height'"),
    ],
)
def test_options_without_meaning_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        small(**options)
