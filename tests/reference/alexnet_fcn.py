"""Forward pass of the attention FCN in plain NumPy: slow, obvious, one utterance at a time.

Written from Zhang et al. 2018 Eq. (2)-(4), Krizhevsky et al. 2012 Sec. 3 and the two published
layer tables; shares no line with the model it judges. Everything is float64.
"""

import numpy as np

# filters, window, stride, padding, groups, pool after
BVLC = [
    (96, 11, 4, 0, 1, True),
    (256, 5, 1, 2, 2, True),
    (384, 3, 1, 1, 1, False),
    (384, 3, 1, 1, 2, False),
    (256, 3, 1, 1, 2, True),
]
TORCHVISION = [
    (64, 11, 4, 2, 1, True),
    (192, 5, 1, 2, 1, True),
    (384, 3, 1, 1, 1, False),
    (256, 3, 1, 1, 1, False),
    (256, 3, 1, 1, 1, True),
]


def conv2d(image, kernel, bias, stride=1, padding=0, groups=1):
    """image (H, W, C), kernel (h, w, C / groups, filters)."""
    padded = np.pad(image, [(padding, padding), (padding, padding), (0, 0)])
    window = kernel.shape[0]
    filters, depth = kernel.shape[3], kernel.shape[2]
    rows = (padded.shape[0] - window) // stride + 1
    columns = (padded.shape[1] - window) // stride + 1
    result = np.zeros((rows, columns, filters))
    for row in range(rows):
        for column in range(columns):
            patch = padded[row * stride :, column * stride :][:window, :window]
            for group in range(groups):
                mine = slice(group * filters // groups, (group + 1) * filters // groups)
                seen = patch[:, :, group * depth : (group + 1) * depth]
                result[row, column, mine] = np.tensordot(seen, kernel[..., mine], 3)
    return result + bias


def max_pool(image, window=3, stride=2):
    rows = (image.shape[0] - window) // stride + 1
    columns = (image.shape[1] - window) // stride + 1
    result = np.zeros((rows, columns, image.shape[2]))
    for row in range(rows):
        for column in range(columns):
            patch = image[row * stride :, column * stride :][:window, :window]
            result[row, column] = patch.max(axis=(0, 1))
    return result


def local_response_norm(image, size=5, alpha=1e-4, beta=0.75, k=1.0):
    result = np.zeros_like(image)
    for channel in range(image.shape[-1]):
        low, high = max(0, channel - size // 2), channel + size // 2 + 1
        energy = (image[..., low:high] ** 2).sum(axis=-1)
        result[..., channel] = image[..., channel] / (k + alpha / size * energy) ** beta
    return result


def attention(cells, matrix, bias, vector, scale):
    """Eq. (2)-(4): cells (L, C), matrix (C, units), vector (units,)."""
    scores = [vector @ np.tanh(cell @ matrix + bias) for cell in cells]
    weights = np.exp(scale * np.array(scores))
    weights /= weights.sum()
    return sum(weight * cell for weight, cell in zip(weights, cells, strict=True)), weights


def image_of(features, channels=3, imagenet=True):
    """features (frames, bins) of one utterance -> image (bins, max(frames, 70), channels)."""
    image = np.repeat(features.T[:, :, None].astype(float), channels, axis=2)
    if imagenet:
        image = (image - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    return np.pad(image, [(0, 0), (0, max(0, 70 - image.shape[1])), (0, 0)])


def encode(image, weights, plan="bvlc", lrn=True, final_pool=True):
    """weights: "conv1".."conv5" -> (kernel, bias)."""
    layers = BVLC if plan == "bvlc" else TORCHVISION
    for number, (_, _, stride, padding, groups, pool) in enumerate(layers, start=1):
        kernel, bias = weights[f"conv{number}"]
        image = np.maximum(conv2d(image, kernel, bias, stride, padding, groups), 0)
        if plan == "bvlc" and lrn and number <= 2:
            image = local_response_norm(image)
        if pool and (number < 5 or final_pool):
            image = max_pool(image)
    return image


def forward(features, weights, *, plan="bvlc", lrn=True, channels=3, scale=0.3):
    """features (frames, bins) -> logits (K,), attention map (F', T')."""
    image = image_of(features, channels, imagenet=channels == 3)
    encoded = encode(image, weights, plan, lrn)
    cells = encoded.reshape(-1, encoded.shape[-1])
    matrix, bias, vector = weights["attention"]
    context, alpha = attention(cells, matrix, bias, vector[:, 0], scale)
    kernel, offset = weights["classifier"]
    return context @ kernel + offset, alpha.reshape(encoded.shape[:2])


def cross_entropy(logits, label):
    return np.log(np.exp(logits).sum()) - logits[label]
