"""Forward pass of MOMA in plain NumPy: slow, obvious, one utterance and one frame at a time.

Written from Sec. 3 of the paper, Eq. (4)-(9). Everything is float64.
"""

import numpy as np

from tests.reference.lstm import bidirectional_lstm


def product_attention(frames, frame_matrix, mean_matrix, score_vector):
    """Eq. (4)-(5): frames (T, C) -> weights (T,)."""
    mean = sum(frames) / len(frames)
    scores = []
    for frame in frames:
        context = np.tanh(frame @ frame_matrix) * np.tanh(mean @ mean_matrix)
        scores.append(context @ score_vector[:, 0])
    powers = np.exp(np.array(scores))
    return powers / powers.sum()


def residual(frames, weights, scale_by_length=False):
    """Eq. (6): frames (T, C), weights (T,) -> (T, C)."""
    factor = len(frames) if scale_by_length else 1
    return np.array([y + factor * a * y for y, a in zip(frames, weights, strict=True)])


def mixture(frames, blocks, gamma):
    """Eq. (7)-(9): blocks of three matrices -> weights (T,), weights of each block (N, T)."""
    views = np.array([product_attention(frames, *block) for block in blocks])
    return sum(share * view for share, view in zip(gamma, views, strict=True)), views


def pool(frames, weights, deviation=False):
    """Sum of a_t y_t, and the deviation under the positive weights divided by their sum."""
    context = sum(a * y for a, y in zip(weights, frames, strict=True))
    if not deviation:
        return context
    shares = np.maximum(weights, 0) / np.maximum(weights, 0).sum()
    mean = sum(a * y for a, y in zip(shares, frames, strict=True))
    variance = sum(a * (y - mean) ** 2 for a, y in zip(shares, frames, strict=True))
    return np.concatenate([context, np.sqrt(np.maximum(variance, 1e-6))])


def strided_convolution(frames, kernel, bias, stride=2):
    """frames (T, D), kernel (5, D, filters) -> ReLU of the outputs (ceil(T / stride), filters)."""
    half = len(kernel) // 2
    outputs = []
    for centre in range(0, len(frames), stride):
        output = bias.copy()
        for offset in range(-half, half + 1):
            if 0 <= centre + offset < len(frames):
                output = output + frames[centre + offset] @ kernel[offset + half]
        outputs.append(np.maximum(output, 0))
    return np.array(outputs)


def encode(frames, weights):
    """frames (T, D) through the convolution, where there is one, and every BLSTM."""
    if "front" in weights:
        frames = strided_convolution(frames, *weights["front"])
    for name in sorted(name for name in weights if name.startswith("blstm")):
        frames = bidirectional_lstm(frames, weights[name][:3], weights[name][3:])
    return frames


def forward(frames, weights, *, scale_by_length=False, deviation=False):
    """frames (T, D) of one utterance -> dict of the outputs without a batch axis."""
    frames = encode(frames, weights)
    outputs = {}
    if "mixture" in weights:
        first = product_attention(frames, *weights["attention_layer1"])
        frames = residual(frames, first, scale_by_length)
        blocks, gamma = split_mixture(weights["mixture"])
        attention, views = mixture(frames, blocks, gamma)
        outputs = {"attention_layer1": first, "attention_blocks": views, "gamma": gamma}
    elif "attention" in weights:
        attention = product_attention(frames, *weights["attention"])
    else:
        attention = np.full(len(frames), 1 / len(frames))
    context = pool(frames, attention, deviation)
    if "projection" in weights:
        kernel, bias = weights["projection"]
        context = np.tanh(context @ kernel + bias)
    kernel, bias = weights["classifier"]
    return {"logits": context @ kernel + bias, "attention": attention, **outputs}


def split_mixture(arrays):
    """The arrays of the mixture by their ranks -> (blocks of three matrices, gamma)."""
    matrices = [array for array in arrays if array.ndim == 2]
    (gamma,) = [array for array in arrays if array.ndim == 1]
    return [matrices[start : start + 3] for start in range(0, len(matrices), 3)], gamma


def cross_entropy(logits, label):
    return np.log(np.exp(logits).sum()) - logits[label]
