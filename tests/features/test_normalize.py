import keras
import numpy as np
import pytest

from ser_keras.errors import SchemaError
from ser_keras.features.normalize import FeatureNormalizer
from tests.harness import check_layer

OFFSET = np.array([1.0, -2.0, 3.0], "float32")
SCALE = np.array([2.0, 0.5, 10.0], "float32")


def fitted(**kwargs):
    layer = FeatureNormalizer(**kwargs)
    layer.build((None, None, 3))
    layer.set_affine(OFFSET, SCALE)
    return layer


def features(batch=2, frames=5):
    return np.random.default_rng(0).normal(size=(batch, frames, 3)).astype("float32")


def mask():
    return np.arange(5)[None] < np.array([[5], [3]])


def test_layer_harness(tmp_path):
    check_layer(FeatureNormalizer, {}, features(), (2, 5, 3), tmp_path, mask=mask())


def test_each_bin_is_shifted_and_scaled():
    scaled = keras.ops.convert_to_numpy(fitted()(features()))
    np.testing.assert_allclose(scaled, (features() - OFFSET) * SCALE, rtol=1e-6)


def test_it_starts_as_the_identity():
    scaled = keras.ops.convert_to_numpy(FeatureNormalizer()(features()))
    np.testing.assert_array_equal(scaled, features())


def test_padding_becomes_zero_whatever_it_held():
    inputs = features()
    inputs[1, 3:] = np.nan
    scaled = keras.ops.convert_to_numpy(fitted()(inputs, mask=mask()))
    np.testing.assert_array_equal(scaled[1, 3:], 0.0)
    np.testing.assert_allclose(scaled[1, :3], ((features() - OFFSET) * SCALE)[1, :3], rtol=1e-6)


def test_no_weight_is_trainable():
    assert fitted().trainable_weights == []
    assert [weight.name for weight in fitted().weights] == ["offset", "scale"]


def test_a_saved_model_keeps_the_statistics(tmp_path):
    inputs = keras.Input((None, 3))
    frames = keras.Input((None,), dtype="bool")
    layer = FeatureNormalizer(name="normalizer")
    model = keras.Model([inputs, frames], layer(inputs, mask=frames))
    layer.set_affine(OFFSET, SCALE)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.get_layer("normalizer").weights[0], OFFSET)
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(loaded([features(), mask()])),
        keras.ops.convert_to_numpy(model([features(), mask()])),
    )


def test_mixed_precision_scales_in_float32():
    layer = fitted(dtype="mixed_bfloat16")
    layer.set_affine([-100.0] * 3, [1.0] * 3)
    inputs = np.full((1, 1, 3), -99.8, "float32")
    outputs = layer(inputs)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    values = keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32"))
    np.testing.assert_allclose(values, 0.2, rtol=0.01)


def test_mixed_precision_inside_a_model_scales_in_float32():
    inputs = keras.Input((None, 3))
    layer = FeatureNormalizer(dtype="mixed_bfloat16")
    model = keras.Model(inputs, layer(inputs))
    model.dtype_policy = "mixed_bfloat16"
    layer.set_affine([-100.3] * 3, [1.0] * 3)
    outputs = keras.ops.cast(model(np.full((1, 1, 3), -99.8, "float32")), "float32")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(outputs), 0.5, rtol=0.01)


@pytest.mark.parametrize(
    ("offset", "scale", "message"),
    [
        (OFFSET[:2], SCALE, r"found offset of shape \(2,\)"),
        (OFFSET, [1.0, np.inf, 1.0], "found scale of shape .* with 1 values that are not finite"),
    ],
)
def test_wrong_statistics_are_refused(offset, scale, message):
    with pytest.raises(SchemaError, match=message):
        fitted().set_affine(offset, scale)
