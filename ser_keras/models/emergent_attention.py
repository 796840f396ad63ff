"""What the predictive VRNN looked at, by emotion: Table 2 and Fig. 2 of Baruah and Banerjee 2022.

Both say of every number whether the first window counts. It is always seen whole, since nothing
was predicted yet. Where prediction errors are Gaussian about 42 % of them exceed their mean, so
that of two windows (most of RAVDESS) 71 % is seen with the first and 42 % without. The paper does
not say whether it counts the first window. Its 63.8 % for RAVDESS is nearer to the count with
it, its 45.2 % for IEMOCAP, where utterances are longer, to the count without.
"""

import numpy as np

from ser_keras.errors import SchemaError


def sampled_share(
    attention: np.ndarray,
    mask: np.ndarray,
    classes: np.ndarray,
    num_classes: int,
    *,
    count_first: bool = True,
) -> np.ndarray:
    """Returns the share of the coefficients that was sampled, by emotion.

    Implements Baruah and Banerjee 2022, Sec. 3.3, Table 2: the mean over the utterances of an
    emotion of the mean over their windows.

    Args:
        attention: (utterances, frames, dim). W, of 0 and 1.
        mask: bool (utterances, frames), False = padding.
        classes: int (utterances,).
        num_classes: int.
        count_first: bool. Whether the first window counts. If not, utterances of one window alone
            are left out.

    Returns:
        float64 (num_classes,), 0 to 1; nan for an emotion without an utterance.

    Raises:
        SchemaError: the arrays do not belong together.

    Example:
        >>> attention = np.array([[[1, 1], [1, 0]], [[1, 1], [0, 0]]])
        >>> mask = np.array([[True, True], [True, False]])
        >>> sampled_share(attention, mask, np.array([0, 1]), 2).tolist()
        [0.75, 1.0]
        >>> sampled_share(attention, mask, np.array([0, 1]), 2, count_first=False).tolist()
        [0.5, nan]
    """
    counted = _counted(attention, mask, classes, num_classes, count_first)
    windows = counted.sum(axis=1)
    sampled = np.where(counted, np.mean(attention, axis=2, dtype=np.float64), 0.0).sum(axis=1)
    shares = sampled[windows > 0] / windows[windows > 0]
    return _mean_by_class(shares, np.asarray(classes)[windows > 0], num_classes)


def pattern_similarity(
    attention: np.ndarray,
    mask: np.ndarray,
    classes: np.ndarray,
    num_classes: int,
    *,
    count_first: bool = True,
) -> np.ndarray:
    """Returns how alike two emotions are in what is sampled of them.

    Implements Baruah and Banerjee 2022, Sec. 3.3, Fig. 2: the cosine of the angle between the mean
    W of the windows of one emotion and that of the other. Its absolute value, which the paper
    takes, is the same, for no W is negative.

    Args:
        attention: (utterances, frames, dim). W, of 0 and 1.
        mask: bool (utterances, frames), False = padding.
        classes: int (utterances,).
        num_classes: int.
        count_first: bool. Whether the first window counts; it makes all emotions more alike.

    Returns:
        float64 (num_classes, num_classes), 0 to 1, symmetric; nan for an emotion without a window.

    Raises:
        SchemaError: the arrays do not belong together.

    Example:
        >>> attention = np.array([[[1, 1], [1, 0]], [[1, 1], [0, 1]]])
        >>> mask = np.ones((2, 2), bool)
        >>> pattern_similarity(attention, mask, np.array([0, 1]), 2).round(2).tolist()
        [[1.0, 0.8], [0.8, 1.0]]
    """
    counted = _counted(attention, mask, classes, num_classes, count_first)
    of_window = np.broadcast_to(np.asarray(classes)[:, None], counted.shape)
    means = _mean_by_class(np.asarray(attention)[counted], of_window[counted], num_classes)
    norms = np.linalg.norm(means, axis=1)
    return (means @ means.T) / np.outer(norms, norms)


def _counted(
    attention: np.ndarray, mask: np.ndarray, classes: np.ndarray, num_classes: int, first: bool
) -> np.ndarray:
    """Returns which windows count, bool (utterances, frames)."""
    shapes = [np.shape(array) for array in (attention, mask, classes)]
    if len(shapes[0]) != 3 or shapes[1] != shapes[0][:2] or shapes[2] != shapes[0][:1]:
        raise SchemaError(
            f"emergent attention: found attention, mask and classes of shapes {shapes}, expected "
            "(utterances, frames, dim), (utterances, frames) and (utterances,). Pass those of one "
            "and the same batch."
        )
    if np.any((np.asarray(classes) < 0) | (np.asarray(classes) >= num_classes)):
        raise SchemaError(
            f"emergent attention: found classes {np.unique(classes).tolist()}, expected 0 to "
            f"{num_classes - 1}. Pass the number of classes of the model."
        )
    counted = np.array(mask, bool)
    if not first:
        counted[:, :1] = False
    return counted


def _mean_by_class(values: np.ndarray, classes: np.ndarray, num_classes: int) -> np.ndarray:
    """Returns the mean of the rows of each class, float64 (num_classes, ...), nan for no row."""
    result = np.full((num_classes, *values.shape[1:]), np.nan)
    for index in np.unique(classes):
        result[index] = values[classes == index].mean(axis=0, dtype=np.float64)
    return result
