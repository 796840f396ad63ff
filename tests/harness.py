"""What every layer and every model must hold, in one call each.

The functions use Keras alone, so that they judge the same code on every backend.
"""

import keras
import numpy as np

PADDING_TOLERANCE = 1e-5
# JAX without it traces a recurrence again at every step; TensorFlow with it compiles for minutes.
JIT = keras.backend.backend() == "jax"


def check_layer(layer_class, arguments, inputs, output_shapes, tmp_path, mask=None):
    """Checks configuration, shapes, saving, mixed precision and one training step of a layer.

    `output_shapes`: one shape, or a list of them where the layer returns several tensors.
    """
    layer = layer_class(**arguments)
    expected = [output_shapes] if isinstance(output_shapes, tuple) else list(output_shapes)
    eager = _arrays(_call(layer, inputs, mask))
    assert [array.shape for array in eager] == expected
    assert layer_class.from_config(layer.get_config()).get_config() == layer.get_config()
    for argument, value in arguments.items():
        assert layer.get_config()[argument] == value

    model = _wrap(layer, inputs, mask)
    for symbolic, shape in zip(model.outputs, expected, strict=True):
        assert len(symbolic.shape) == len(shape)
        assert all(size in (None, real) for size, real in zip(symbolic.shape, shape, strict=True))
    data = [inputs] if mask is None else [inputs, mask]
    before = _arrays(model(data))
    for array, same in zip(eager, before, strict=True):
        np.testing.assert_allclose(array, same, atol=1e-6)
    model.save(tmp_path / "layer.keras")
    loaded = keras.saving.load_model(tmp_path / "layer.keras")
    for array, same in zip(before, _arrays(loaded(data)), strict=True):
        np.testing.assert_array_equal(array, same)

    _check_mixed_precision(layer, inputs, mask, before)
    if before[0].dtype != bool:
        _check_training_step(layer, inputs, mask)


def _call(layer, inputs, mask):
    return layer(inputs) if mask is None else layer(inputs, mask=mask)


def _wrap(layer, inputs, mask):
    """Returns a model of one layer, whose number of frames is open."""
    open_axis = 1 if inputs.ndim < 4 else 2
    shape = [None if axis == open_axis else size for axis, size in enumerate(inputs.shape)]
    tensors = [keras.Input(shape[1:], dtype=inputs.dtype.name, name="inputs")]
    if mask is not None:
        tensors.append(keras.Input((None,), dtype="bool", name="mask"))
    return keras.Model(tensors, _call(layer, *(tensors if mask is not None else (*tensors, None))))


def _check_mixed_precision(layer, inputs, mask, expected):
    config = {**layer.get_config(), "dtype": "mixed_bfloat16"}
    mixed = type(layer).from_config(config)
    _call(mixed, inputs, mask)
    mixed.set_weights(layer.get_weights())
    for array, wanted in zip(_arrays(_call(mixed, inputs, mask)), expected, strict=True):
        if wanted.dtype == bool:
            np.testing.assert_array_equal(array, wanted)
        else:
            scale = np.abs(wanted).max() + 1e-6
            np.testing.assert_allclose(array / scale, wanted / scale, atol=0.03)
    assert all(str(weight.dtype) == "float32" for weight in mixed.weights)


def _check_training_step(layer, inputs, mask):
    """Trains a linear layer in front of `layer` for one step: the gradient must reach both."""
    source = keras.Input(inputs.shape[1:], name="inputs")
    masks = [] if mask is None else [keras.Input(mask.shape[1:], dtype="bool", name="mask")]
    front = keras.layers.Dense(inputs.shape[-1])
    outputs = _call(layer, front(source), masks[0] if masks else None)
    heads = [tensor for tensor in keras.tree.flatten(outputs) if tensor.dtype != "bool"]
    model = keras.Model([source, *masks], heads)
    model.compile(keras.optimizers.SGD(0.1), loss=["mse"] * len(heads), jit_compile=JIT)
    before = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    targets = [np.ones((len(inputs), *head.shape[1:]), "float32") for head in heads]
    data = [inputs] if mask is None else [inputs, mask]
    assert np.all(np.isfinite(model.train_on_batch(data, targets)))
    after = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    assert all(np.isfinite(weight).all() for weight in after)
    assert (before[0] != after[0]).any()


def check_model(build, *, dim, num_classes, tmp_path, lengths=(71, 96), steps=60):
    """Checks a model: forward pass, padding, saving, an absent class, and that it can overfit.

    `build`: function of no argument that returns a new model of `num_classes` outputs, without
    dropout. `lengths`: frames of the utterances, from the shortest that is interesting on.
    """
    keras.utils.set_random_seed(7)
    rng = np.random.default_rng(7)
    model = build()
    utterances = [rng.uniform(size=(length, dim)).astype("float32") for length in lengths]
    logits = _logits(model, batch_of(utterances))
    assert logits.shape == (len(lengths), num_classes)
    assert np.isfinite(logits).all()
    check_padding(model, utterances, rng)
    check_saving(model, batch_of(utterances), tmp_path)
    check_overfit(build(), dim, num_classes, lengths, steps, rng)


def check_padding(model, utterances, rng):
    """Checks that neither neighbours nor the content of the padding change an utterance."""
    alone = [_logits(model, batch_of([utterance]))[0] for utterance in utterances]
    for extra in (1, 50):
        batch = batch_of(utterances, extra)
        garbage = rng.normal(scale=1e3, size=batch["features"].shape).astype("float32")
        garbage[0, -1] = np.nan if not batch["mask"][0, -1] else garbage[0, -1]
        for padding in (0.0, garbage):
            features = np.where(batch["mask"][..., None], batch["features"], padding)
            padded = _logits(model, {**batch, "features": features.astype("float32")})
            np.testing.assert_allclose(padded, alone, atol=PADDING_TOLERANCE, rtol=0)


def check_saving(model, batch, tmp_path):
    """Checks that a saved model loads without custom objects and answers the same."""
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(_logits(loaded, batch), _logits(model, batch))
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]


def check_overfit(model, dim, num_classes, lengths, steps, rng):
    """Checks that 8 utterances are learnt by heart, though the last class has no example."""
    frames = [lengths[number % len(lengths)] for number in range(8)]
    batch = batch_of([rng.uniform(size=(length, dim)).astype("float32") for length in frames])
    labels = np.arange(8) % (num_classes - 1)
    model.compile(
        keras.optimizers.Adam(2e-3),
        loss={"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        jit_compile=JIT,
    )
    for step in range(1, steps + 1):
        loss = model.train_on_batch(batch, {"logits": labels})
        assert np.all(np.isfinite(loss))
        if step % 10 == 0:
            logits = _logits(model, batch)
            if (logits.argmax(axis=-1) == labels).all():
                break
    np.testing.assert_array_equal(logits.argmax(axis=-1), labels)
    assert logits.shape[-1] == num_classes


def slope_of(loss, array, cell, step=1e-5):
    """Returns the slope of `loss()` in one cell of `array`, by central differences; never 0."""
    start, losses = array[cell], []
    for moved in (start + step, start - step):
        array[cell] = moved
        losses.append(loss())
    array[cell] = start
    slope = (losses[0] - losses[1]) / (2 * step)
    assert abs(slope) > 1e-5, "a weight that matters is needed"
    return slope


def batch_of(utterances, extra=0):
    """Returns the utterances as one batch, `extra` frames wider than the longest."""
    frames = max(len(utterance) for utterance in utterances) + extra
    features = np.zeros((len(utterances), frames, utterances[0].shape[1]), "float32")
    for row, utterance in zip(features, utterances, strict=True):
        row[: len(utterance)] = utterance
    lengths = np.array([len(utterance) for utterance in utterances])
    return {"features": features, "mask": np.arange(frames)[None] < lengths[:, None]}


def _logits(model, batch):
    return keras.ops.convert_to_numpy(model(batch, training=False)["logits"])


def _arrays(outputs):
    """Returns the tensors as arrays, half precision widened."""
    arrays = []
    for tensor in keras.tree.flatten(outputs):
        if "bfloat16" in str(tensor.dtype):
            tensor = keras.ops.cast(tensor, "float32")
        arrays.append(keras.ops.convert_to_numpy(tensor))
    return arrays
