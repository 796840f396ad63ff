"""What the predictive VRNN looked at, by emotion: Table 2 and Fig. 2 of Baruah and Banerjee 2022.

Both say of every number whether the first window counts. It is always seen whole, since nothing
was predicted yet. Where prediction errors are Gaussian about 42 % of them exceed their mean, so
that of two windows (most of RAVDESS) 71 % is seen with the first and 42 % without. The paper does
not say whether it counts the first window. Its 63.8 % for RAVDESS is nearer to the count with
it, its 45.2 % for IEMOCAP, where utterances are longer, to the count without.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from ser_keras.errors import SchemaError


@dataclass(frozen=True)
class PublishedFindings:
    """What Baruah and Banerjee 2022 print of one corpus (Sec. 3.3).

    Args:
        share: mapping of emotion to the sampled share, 0 to 1 (Table 2).
        mean_share: float. The table's average over the emotions.
        reference: str. The emotion whose neighbours the text names (of Fig. 2).
        most_similar: str. The emotion most similar to `reference`.
        least_similar: str. The emotion least similar to it.
        least_sampled: str. "The highest sparsity is for" this emotion.
    """

    share: Mapping[str, float]
    mean_share: float
    reference: str
    most_similar: str
    least_similar: str
    least_sampled: str


# By corpus, in the words of `ser_keras.labels`: the paper's "disgust" is disgusted.
PUBLISHED: Mapping[str, PublishedFindings] = MappingProxyType(
    {
        "ravdess": PublishedFindings(
            share=MappingProxyType(
                {
                    "neutral": 0.658,
                    "happy": 0.661,
                    "sad": 0.625,
                    "angry": 0.613,
                    "fearful": 0.631,
                    "disgusted": 0.616,
                    "surprised": 0.685,
                    "calm": 0.615,
                }
            ),
            mean_share=0.638,
            reference="neutral",
            most_similar="calm",
            least_similar="surprised",
            least_sampled="angry",
        ),
        "iemocap": PublishedFindings(
            share=MappingProxyType(
                {"neutral": 0.471, "happy": 0.447, "sad": 0.442, "angry": 0.449}
            ),
            mean_share=0.452,
            reference="neutral",
            most_similar="sad",
            least_similar="angry",
            least_sampled="sad",
        ),
    }
)


def compare_claims(
    published: PublishedFindings, classes: Sequence[str], table: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Returns whether what the paper says of Table 2 and Fig. 2 holds for one of our tables.

    Args:
        published: what the paper says.
        classes: names of the classes, in the order of the similarities.
        table: "share" by class and "similarity" (classes, classes); None for what is not known.

    Returns:
        one dict per claim with "claim" and "ours" in words and "holds"; none for emotions that are
        not among the classes.

    Example:
        >>> table = {"share": {"neutral": 0.5, "sad": 0.4, "angry": 0.6}}
        >>> table["similarity"] = [[1.0, 0.9, 0.8], [0.9, 1.0, 0.7], [0.8, 0.7, 1.0]]
        >>> for claim in compare_claims(PUBLISHED["iemocap"], ["neutral", "sad", "angry"], table):
        ...     print(claim["ours"], claim["holds"])
        neutral is most similar to sad and least to angry True
        sad is sampled least True
    """
    claims = []
    named = {published.reference, published.most_similar, published.least_similar}
    if named <= set(classes):
        row = table["similarity"][list(classes).index(published.reference)]
        others = {
            name: value
            for name, value in zip(classes, row, strict=True)
            if name != published.reference and value is not None
        }
        neighbours = (published.most_similar, published.least_similar)
        ours = (max(others, key=others.__getitem__), min(others, key=others.__getitem__))
        text = "{} is most similar to {} and least to {}"
        claims.append(
            {
                "claim": text.format(published.reference, *neighbours),
                "ours": text.format(published.reference, *ours),
                "holds": ours == neighbours,
            }
        )
    shares = {name: share for name, share in table["share"].items() if share is not None}
    if published.least_sampled in shares:
        least = min(shares, key=shares.__getitem__)
        claims.append(
            {
                "claim": f"{published.least_sampled} is sampled least",
                "ours": f"{least} is sampled least",
                "holds": least == published.least_sampled,
            }
        )
    return claims


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
