"""The attention-pooling CNN in plain NumPy: slow, obvious, one utterance at a time.

Written from Li et al. 2018, Eq. (1)-(10); shares no line with the model it judges. Everything is
float64. Only batch normalisation sees several utterances at once, and then their real cells alone:
an utterance here has no padding.
"""

import numpy as np

EPSILON = 1e-5


def mu_law(segment, mu=255.0, lowest=-1.0):
    """Eq. (1): segment (frames, bins) of magnitudes, all of them real."""
    small, large = segment.min(), segment.max()
    result = np.zeros(segment.shape)
    for cell in np.ndindex(segment.shape):
        share = (segment[cell] - small) / (large - small) if large > small else 0.0
        x = lowest + (1 - lowest) * share
        result[cell] = np.sign(x) * np.log(1 + mu * abs(x)) / np.log(1 + mu)
    return result


def conv2d(image, kernel, bias):
    """Eq. (2), same size: image (H, W, C), kernel (h, w, C, filters), the extra zero after it."""
    height, width = kernel.shape[:2]
    above, left = (height - 1) // 2, (width - 1) // 2
    around = [(above, height - 1 - above), (left, width - 1 - left), (0, 0)]
    padded = np.pad(image, around)
    result = np.zeros((*image.shape[:2], kernel.shape[3]))
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            patch = padded[row : row + height, column : column + width]
            result[row, column] = np.tensordot(patch, kernel, 3)
    return result + bias


def batch_norm(maps, gamma, beta, mean, variance, training):
    """maps: list of (H, W, C), of any widths; in training the batch's own statistics count."""
    if training:
        cells = np.concatenate([map_.reshape(-1, map_.shape[-1]) for map_ in maps])
        mean, variance = cells.mean(axis=0), cells.var(axis=0)
    return [(map_ - mean) / np.sqrt(variance + EPSILON) * gamma + beta for map_ in maps]


def max_pool(image):
    """Windows of 2 x 2; at the end a window may be narrower."""
    rows, columns = -(-image.shape[0] // 2), -(-image.shape[1] // 2)
    result = np.zeros((rows, columns, image.shape[2]))
    for row in range(rows):
        for column in range(columns):
            patch = image[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            result[row, column] = patch.max(axis=(0, 1))
    return result


def attention(cells, top_down, bias, bottom_up):
    """Eq. (10): cells (H, W, C), top_down (C, K), bottom_up (C,) -> scores, b map, a maps."""
    saliency = np.zeros(cells.shape[:2])
    classes = np.zeros((*cells.shape[:2], top_down.shape[1]))
    for row, column in np.ndindex(cells.shape[:2]):
        saliency[row, column] = cells[row, column] @ bottom_up
        classes[row, column] = cells[row, column] @ top_down + bias
    powers = np.exp(saliency - saliency.max())
    weights = powers / powers.sum()
    scores = np.zeros(top_down.shape[1])
    for row, column in np.ndindex(cells.shape[:2]):
        scores += weights[row, column] * classes[row, column]
    return scores, weights, classes


def average(cells):
    """In front of Eq. (3): cells (H, W, C) -> (C,)."""
    total = np.zeros(cells.shape[-1])
    for row, column in np.ndindex(cells.shape[:2]):
        total += cells[row, column]
    return total / (cells.shape[0] * cells.shape[1])


def bilinear(cells):
    """In front of Eq. (4): X^T X, signed square root, length 1."""
    flat = cells.reshape(-1, cells.shape[-1])
    channels = flat.shape[1]
    products = np.zeros((channels, channels))
    for one in range(channels):
        for other in range(channels):
            products[one, other] = sum(cell[one] * cell[other] for cell in flat)
    roots = np.sign(products) * np.sqrt(np.abs(products))
    return (roots / np.sqrt((roots**2).sum())).ravel()


def encode(utterances, weights, pool_after=(2, 3), lowest=-1.0, training=False):
    """utterances: list of (frames, bins) -> list of maps. lowest None: no mu-law.

    weights: "conv1a", "conv1b" or "conv1", "conv2", ... -> (kernel, bias), and to each number its
    "conv1_batch_norm" -> (gamma, beta, mean, variance).
    """
    scaled = [
        features if lowest is None else mu_law(features, lowest=lowest) for features in utterances
    ]
    maps = [features.T[:, :, None].astype(float) for features in scaled]
    number = 1
    while f"conv{number}_batch_norm" in weights:
        names = ("conv1a", "conv1b") if number == 1 and "conv1a" in weights else (f"conv{number}",)
        maps = [np.concatenate([conv2d(x, *weights[n]) for n in names], axis=2) for x in maps]
        maps = batch_norm(maps, *weights[f"conv{number}_batch_norm"], training)
        maps = [np.maximum(map_, 0) for map_ in maps]
        if number in pool_after:
            maps = [max_pool(map_) for map_ in maps]
        number += 1
    return maps


def forward(utterances, weights, *, head="attention", **options):
    """Returns a list of logits (K,), of attention maps (H, W) and, or None, of maps (H, W, K)."""
    logits, attentions, top_downs = [], [], []
    for cells in encode(utterances, weights, **options):
        if head == "attention":
            kernel, bias, vector = weights["attention"]
            scores, weight, maps = attention(cells, kernel, bias, vector[:, 0])
        else:
            kernel, bias = weights["classifier"]
            pooled = average(cells) if head == "gap" else bilinear(cells)
            scores, maps = pooled @ kernel + bias, None
            weight = np.full(cells.shape[:2], 1 / (cells.shape[0] * cells.shape[1]))
        logits.append(scores)
        attentions.append(weight)
        top_downs.append(maps)
    return logits, attentions, top_downs


def cross_entropy(logits, label):
    return np.log(np.exp(logits).sum()) - logits[label]
