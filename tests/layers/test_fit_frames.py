"""How many frames come out, and that only real ones carry anything."""

import keras
import numpy as np
import pytest

from ser_keras.layers.fit_frames import FitFrames

FRAMES = np.random.default_rng(2).normal(size=(2, 9, 3)).astype("float32")
MASK = np.arange(9)[None] < np.array([[9], [4]])


@pytest.mark.parametrize(
    ("minimum", "maximum", "width"),
    [(1, None, 9), (12, None, 12), (12, 12, 12), (2, 5, 5), (5, 5, 5), (12, 20, 12), (3, 9, 9)],
)
def test_frames_are_kept_in_place_up_to_the_width(minimum, maximum, width):
    garbage = np.where(MASK[..., None], FRAMES, np.nan).astype("float32")
    frames, real = (
        keras.ops.convert_to_numpy(tensor)
        for tensor in FitFrames(minimum, maximum)(garbage, mask=MASK)
    )
    assert frames.shape == (2, width, 3)
    for row, length in enumerate((9, 4)):
        kept = min(length, width)
        np.testing.assert_array_equal(real[row], np.arange(width) < kept)
        np.testing.assert_array_equal(frames[row, :kept], FRAMES[row, :kept])
        assert (frames[row, kept:] == 0).all()


@pytest.mark.parametrize(
    ("frames", "minimum", "maximum", "width"),
    [(None, 5, None, None), (None, 5, 7, None), (None, 5, 5, 5), (9, 5, 7, 7), (3, 5, 7, 5)],
)
def test_width_is_known_where_it_can_be(frames, minimum, maximum, width):
    inputs, mask = keras.Input((frames, 3)), keras.Input((frames,), dtype="bool")
    fitted, real = FitFrames(minimum, maximum)(inputs, mask=mask)
    assert fitted.shape == (None, width, 3)
    assert real.shape == (None, width)


@pytest.mark.parametrize("arguments", [{"minimum": 0}, {"minimum": 5, "maximum": 4}])
def test_widths_without_meaning_are_refused(arguments):
    with pytest.raises(ValueError, match="Received: minimum"):
        FitFrames(**arguments)
