"""How much work a model does for an utterance."""

import math

import keras


def multiply_accumulates(model: keras.Model, frames: int) -> int:
    """Returns the multiply-accumulate operations of one utterance through `model`.

    Counted from the shapes: every value of a kernel is used once per position of the layer's
    output. Biases, normalisation and pooling are not counted, as is the custom.

    Args:
        model: keras.Model of this package.
        frames: int. Length of the utterance.

    Returns:
        int.

    Example:
        >>> from ser_keras.models import build_model
        >>> model = build_model("alexnet_fcn", num_classes=4, dim=200)
        >>> round(multiply_accumulates(model, frames=300) / 1e6)
        751
    """
    counted = {layer.name: layer for layer in model.layers if _is_counted(layer)}
    outputs = keras.Model(model.inputs, {name: layer.output for name, layer in counted.items()})
    sizes = [
        (1, *(frames if size is None else size for size in given.shape[1:]))
        for given in model.inputs
    ]
    shapes = outputs.compute_output_shape(sizes)
    return sum(_operations(layer, shapes[name]) for name, layer in counted.items())


def _is_counted(layer: keras.layers.Layer) -> bool:
    known = isinstance(layer, keras.layers.Conv1D | keras.layers.Conv2D | keras.layers.Dense)
    return known or hasattr(layer, "multiply_accumulates")


def _operations(layer: keras.layers.Layer, output_shape: tuple) -> int:
    if hasattr(layer, "multiply_accumulates"):
        return layer.multiply_accumulates(output_shape)
    return math.prod(layer.kernel.shape) * math.prod(output_shape[1:-1])
