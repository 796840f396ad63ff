"""What the mu-law does to a segment, against the equation and worked examples."""

import keras
import numpy as np
import pytest

from ser_keras.layers.mu_law import MuLaw
from tests.reference import attention_cnn as reference

RNG = np.random.default_rng(21)


def bent(frames, mask=None, **arguments):
    mask = np.ones(np.shape(frames)[:2], bool) if mask is None else mask
    return keras.ops.convert_to_numpy(MuLaw(**arguments)(np.asarray(frames, "float32"), mask=mask))


@pytest.mark.parametrize("lowest", [-1.0, 0.0, -0.5])
@pytest.mark.parametrize("mu", [255.0, 8.0])
def test_segments_equal_the_equation_whatever_the_padding_holds(mu, lowest):
    frames = RNG.gamma(0.5, size=(2, 9, 5)).astype("float32")
    mask = np.arange(9)[None] < np.array([[9], [4]])
    for garbage in (1e6, -1e6, np.nan, np.inf):
        outputs = bent(np.where(mask[..., None], frames, garbage), mask, mu=mu, lowest=lowest)
        for row, length in enumerate((9, 4)):
            expected = reference.mu_law(frames[row, :length].astype(float), mu, lowest)
            np.testing.assert_allclose(outputs[row, :length], expected, atol=1e-5)
            assert (outputs[row, length:] == 0).all()


def test_known_values():
    # 0.5 of the way down from 1: ln(1 + 127.5) / ln(256) by hand.
    outputs = bent(np.array([0.0, 1.0, 2.0, 3.0, 4.0]).reshape(1, 5, 1)).ravel()
    np.testing.assert_allclose(outputs, [-1, -0.87570, 0, 0.87570, 1], atol=1e-5)


def test_loudness_of_a_segment_does_not_count():
    frames = RNG.gamma(0.5, size=(1, 6, 4))
    np.testing.assert_allclose(bent(frames), bent(40 * frames + 3), atol=1e-4)


def test_silence_is_the_lowest_value_and_nothing_is_zero():
    assert (bent(np.full((1, 3, 2), 7.0)) == -1).all()
    assert (bent(np.full((1, 3, 2), 7.0), lowest=0.0) == 0).all()
    assert (bent(np.full((1, 3, 2), 7.0), np.zeros((1, 3), bool)) == 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"mu": 0.0}, "mu=0"), ({"lowest": 1.0}, "lowest=1"), ({"lowest": -2.0}, "lowest=-2")],
)
def test_arguments_without_meaning_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MuLaw(**arguments)
