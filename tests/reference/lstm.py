"""A long short-term memory in plain NumPy, one utterance, one frame and one gate at a time.

Written from the equations (Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al.
2000), with the gates of a kernel in Keras's order: input, forget, candidate, output.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(frames, kernel, recurrent_kernel, bias):
    """frames (T, D) -> outputs (T, units)."""
    units = recurrent_kernel.shape[0]
    hidden, cell = np.zeros(units), np.zeros(units)
    outputs = []
    for frame in frames:
        sums = frame @ kernel + hidden @ recurrent_kernel + bias
        enter = sigmoid(sums[:units])
        keep = sigmoid(sums[units : 2 * units])
        candidate = np.tanh(sums[2 * units : 3 * units])
        leave = sigmoid(sums[3 * units :])
        cell = keep * cell + enter * candidate
        hidden = leave * np.tanh(cell)
        outputs.append(hidden)
    return np.array(outputs)


def bidirectional_lstm(frames, forward, backward):
    """forward, backward: (kernel, recurrent kernel, bias) -> outputs (T, 2 units)."""
    return np.hstack([lstm(frames, *forward), lstm(frames[::-1], *backward)[::-1]])
