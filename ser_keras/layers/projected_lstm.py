"""Recurrent layers that keep out of the loop over time whatever does not depend on the state."""

import keras
from keras import ops

from ser_keras.layers.masked_layer import MaskedLayer

# Sums of the gates i, f, c, o in the padding: nothing enters, the cell stays, nothing is said.
SHUT = (-1e4, 1e4, 0.0, -1e4)


@keras.saving.register_keras_serializable("ser_keras")
class ProjectedLSTM(MaskedLayer):
    """Long short-term memory over the real frames, forward or backward in time.

    Computes what `keras.layers.LSTM` computes, with its weights in its order, sooner: the inputs of
    all frames are projected in one matrix product before the loop, and the gradient of the
    recurrent kernel is one product over all frames after the loop back in time. A training step
    of 2 bidirectional LSTMs of 512 units, batch 32, 300 frames of 23 values, takes 0.69 of Keras's
    time with the first and 0.41 with both (`benchmarks/train.py --recurrent`, 2 busy cores). Both
    directions in one loop took 1.00 times as long with 128 units, 1.07 times with 512, and would
    keep two cores from running one each: they have a loop each.

    Args:
        units: int. Size of the state.
        reverse: bool. Run from the last real frame to the first.

    Call arguments:
        inputs: (batch, frames, dim).
        mask: bool (batch, frames), True for real frames, which come first.

    Returns:
        (batch, frames, units) in the order of the inputs, 0 in the padding.

    Example:
        >>> mask = ops.convert_to_tensor([[True, True, False]])
        >>> outputs = ProjectedLSTM(units=4)(ops.ones((1, 3, 2)), mask=mask)
        >>> tuple(outputs.shape), float(outputs[0, 2, 0]) == 0
        ((1, 3, 4), True)

    Departures: state and sums of the gates are float32 under every precision policy. The gradient
        has no gradient of its own.
    """

    def __init__(self, units, reverse=False, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.reverse = reverse

    def build(self, inputs_shape, mask_shape=None):
        width = 4 * self.units
        self.kernel = self.add_weight(
            name="kernel", shape=(inputs_shape[-1], width), initializer="glorot_uniform"
        )
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(self.units, width), initializer="orthogonal"
        )
        self.bias = self.add_weight(name="bias", shape=(width,), initializer=open_forget_gate)

    def call(self, inputs, mask):
        return _run([self], inputs, mask)

    def multiply_accumulates(self, output_shape):
        """Returns the multiplications of one utterance, from the shape of the output."""
        return output_shape[1] * (self.kernel.shape[0] + self.units) * 4 * self.units

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        return (*inputs_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "reverse": self.reverse}


@keras.saving.register_keras_serializable("ser_keras")
class BidirectionalLSTM(MaskedLayer):
    """Two `ProjectedLSTM`, forward and backward in time, whose inputs are projected together.

    Computes what `keras.layers.Bidirectional(keras.layers.LSTM(units, return_sequences=True))`
    computes, with its weights in its order.

    Args:
        units: int. Size of the state of each direction.

    Call arguments:
        inputs: (batch, frames, dim).
        mask: bool (batch, frames), True for real frames, which come first.

    Returns:
        (batch, frames, 2 units): forward, then backward; 0 in the padding.

    Example:
        >>> mask = ops.convert_to_tensor([[True, True, False]])
        >>> tuple(BidirectionalLSTM(units=4)(ops.ones((1, 3, 2)), mask=mask).shape)
        (1, 3, 8)
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        policy = {"dtype": self.dtype_policy}
        self.forward = ProjectedLSTM(units, name="forward", **policy)
        self.backward = ProjectedLSTM(units, reverse=True, name="backward", **policy)

    def build(self, inputs_shape, mask_shape=None):
        self.forward.build(inputs_shape)
        self.backward.build(inputs_shape)

    def call(self, inputs, mask):
        return _run([self.forward, self.backward], inputs, mask)

    def multiply_accumulates(self, output_shape):
        """Returns the multiplications of one utterance, from the shape of the output."""
        return 2 * self.forward.multiply_accumulates(output_shape)

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        return (*inputs_shape[:-1], 2 * self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def open_forget_gate(shape, dtype=None):
    """Returns the initial bias: 1 for the forget gate, so that memory lasts, 0 for the others."""
    units = shape[0] // 4
    values = ops.repeat(ops.convert_to_tensor([0.0, 1.0, 0.0, 0.0]), units)
    return ops.cast(values, dtype or keras.config.floatx())


# === The whole sequence ===


def _run(directions, inputs, mask):
    """Returns the outputs of layers that read the same inputs, side by side."""
    projections = _project(directions, inputs, mask)
    outputs = [
        # The slice is a tensor; TensorFlow's own gradients take no variables.
        recurrence(projected, layer.recurrent_kernel[:], layer.reverse)
        for layer, projected in zip(directions, projections, strict=True)
    ]
    outputs = ops.transpose(ops.concatenate(outputs, axis=-1), (1, 0, 2))
    return ops.cast(outputs, directions[0].compute_dtype)


def _project(directions, inputs, mask):
    """Returns what the inputs add to the gates, (frames, batch, 4 units) for each direction.

    Two more inputs, 1 in real frames and 1 in padding, carry the bias and the shut gates: to add
    and to mask would be two more passes over the largest tensor of the layer.
    """
    frames = ops.cast(mask, inputs.dtype)[..., None]
    inputs = ops.where(mask[..., None], inputs, 0)
    inputs = ops.transpose(ops.concatenate([inputs, frames, 1 - frames], axis=-1), (1, 0, 2))
    kernels = []
    for layer in directions:
        shut = ops.cast(ops.repeat(ops.convert_to_tensor(SHUT), layer.units), inputs.dtype)
        kernels.append(ops.concatenate([layer.kernel, layer.bias[None], shut[None]], axis=0))
    projected = ops.matmul(inputs, ops.concatenate(kernels, axis=-1))
    return ops.split(projected, len(directions), axis=-1)


# === The loop over time ===


def recurrence(projected, kernel, reverse=False):
    """Returns the outputs of an LSTM, with a gradient whose loop has one matrix product.

    Args:
        projected: (frames, batch, 4 units). What inputs and bias add to the gates.
        kernel: (units, 4 units). What the last output adds to them, for gates i, f, c, o.
        reverse: bool. Start at the last frame.

    Returns:
        float32 (frames, batch, units).
    """

    @ops.custom_gradient
    def run(projected, kernel):
        hidden, cells, gates = states(projected, kernel, reverse)

        def gradient(upstream):
            slopes = _slopes(upstream, kernel, cells, gates, reverse)
            before = ops.reshape(_before(hidden, reverse), (-1, kernel.shape[0]))
            summed = ops.matmul(ops.transpose(before), ops.reshape(slopes, (-1, kernel.shape[1])))
            return ops.cast(slopes, projected.dtype), ops.cast(summed, kernel.dtype)

        return hidden, gradient

    return run(projected, kernel)


def states(projected, kernel, reverse=False):
    """Returns outputs, cells and gates of all frames, float32, as (frames, batch, ...) each."""

    def step(before, added):
        hidden, cell, _ = before
        gates = ops.cast(added, "float32") + _product(hidden, kernel)
        i, f, c, o = ops.split(gates, 4, axis=-1)
        i, f, c, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(c), ops.sigmoid(o)
        cell = f * cell + i * c
        state = o * ops.tanh(cell), cell, ops.concatenate([i, f, c, o], axis=-1)
        return state, state

    return ops.scan(step, _start(projected, kernel), projected, reverse=reverse)[1]


def _slopes(upstream, kernel, cells, gates, reverse):
    """Returns the loss's gradient by the sums of the gates: the same loop back in time."""
    # Once, before the loop: a product with a transposed kernel takes up to four times as long.
    transposed = ops.transpose(kernel)

    def step(later, frame):
        d_hidden, d_cell, _ = later
        upstream, before, cell, i, f, c, o = ops.split(frame, 7, axis=-1)
        activated = ops.tanh(cell)
        d_hidden = d_hidden + upstream
        d_cell = d_cell + d_hidden * o * (1 - activated * activated)
        slopes = ops.concatenate(
            [
                d_cell * c * i * (1 - i),
                d_cell * before * f * (1 - f),
                d_cell * i * (1 - c * c),
                d_hidden * activated * o * (1 - o),
            ],
            axis=-1,
        )
        state = _product(slopes, transposed), d_cell * f, slopes
        return state, state

    # One tensor: of several, Keras 3.15's scan on TensorFlow wants to know the number of frames.
    frames = ops.concatenate([upstream, _before(cells, reverse), cells, gates], axis=-1)
    return ops.scan(step, _start(gates, kernel), frames, reverse=not reverse)[1][2]


def _product(values, kernel):
    """Returns values @ kernel, in the kernel's precision, as float32."""
    return ops.cast(ops.matmul(ops.cast(values, kernel.dtype), kernel), "float32")


def _start(sequence, kernel):
    batch, (units, width) = ops.shape(sequence)[1], kernel.shape
    return tuple(ops.zeros((batch, size), "float32") for size in (units, units, width))


def _before(sequence, reverse):
    """Returns the states that each frame started from."""
    zeros = ops.zeros_like(sequence[:1])
    parts = [sequence[1:], zeros] if reverse else [zeros, sequence[:-1]]
    return ops.concatenate(parts, axis=0)
