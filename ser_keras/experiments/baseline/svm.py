"""Linear and RBF support vector machines, whose C is chosen on speakers of the training part.

Both need no more of the scaled vectors than their inner products, which are computed once for all
values of C. The linear machine is trained on coordinates along the training vectors' principal
axes: as many as there are utterances, where openSMILE has thousands of functionals. A rotation
changes neither margins nor answers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ser_keras import metrics

KERNELS = ("linear", "rbf")
INNER_FOLDS = 5
# The RBF kernel is at most 1, whatever the number of values.
_RBF_C = (1.0, 10.0, 100.0)
# The inner products of scaled vectors grow with the number of values, so C is a multiple of one
# over it. For the 6373 functionals of ComParE these are 1.6e-5 to 1.6e-3, for the 88 of eGeMAPS
# 1.1e-3 to 1.1e-1; a larger C separates the training part without error and changes little.
_LINEAR_C_TIMES_VALUES = (0.1, 1.0, 10.0)
# Axes along which the training vectors vary less than this share of the most are rounding errors.
_SMALLEST_VARIANCE = 1e-12


@dataclass(frozen=True)
class Chosen:
    """What a machine with a chosen C says of the test part.

    Args:
        c: float. The C with the best inner UA, of several the smallest.
        inner_ua: mapping of C to its UA, pooled over the inner folds.
        predicted: int (test utterances,). Classes.
    """

    c: float
    inner_ua: Mapping[float, float]
    predicted: np.ndarray


def c_values(kernel: str, num_values: int) -> tuple[float, ...]:
    """Returns what C is chosen from, ascending.

    Example:
        >>> c_values("linear", 100)
        (0.001, 0.01, 0.1)
    """
    if kernel == "rbf":
        return _RBF_C
    return tuple(multiple / num_values for multiple in _LINEAR_C_TIMES_VALUES)


def choose_and_predict(
    kernels: Sequence[str],
    train: np.ndarray,
    classes: np.ndarray,
    groups: np.ndarray | None,
    test: np.ndarray,
    *,
    num_classes: int,
    seed: int,
) -> dict[str, Chosen]:
    """Returns what machines of each kernel say of the test part.

    C is chosen by cross-validation inside the training part, in which no group is on both sides.
    Scaling to mean 0 and deviation 1 is fitted on what is trained on, in the inner folds as well.

    Args:
        kernels: names in `KERNELS`.
        train: float64 (utterances, values). Vectors of the training part.
        classes: int (utterances,). Their classes.
        groups: (utterances,). Their speakers; None where training and test part share speakers, so
            that the inner folds share them too.
        test: float64 (test utterances, values).
        num_classes: int.
        seed: of the inner folds without groups.
    """
    settings = {kernel: c_values(kernel, train.shape[1]) for kernel in kernels}
    counts = {
        (kernel, c): np.zeros((num_classes, num_classes), int)
        for kernel, values in settings.items()
        for c in values
    }
    for fitted, judged in inner_folds(classes, groups, seed):
        answers = _predictions(settings, train[fitted], classes[fitted], train[judged])
        for key, predicted in answers.items():
            counts[key] += metrics.confusion_matrix(classes[judged], predicted, num_classes)
    inner_ua = {
        kernel: {c: metrics.unweighted_accuracy_of(counts[kernel, c]) for c in values}
        for kernel, values in settings.items()
    }
    best = {kernel: max(scores, key=scores.__getitem__) for kernel, scores in inner_ua.items()}
    settings = {kernel: (c,) for kernel, c in best.items()}
    answers = _predictions(settings, train, classes, test)
    return {
        kernel: Chosen(best[kernel], inner_ua[kernel], answers[kernel, best[kernel]])
        for kernel in kernels
    }


def inner_folds(
    classes: np.ndarray, groups: np.ndarray | None, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the positions of what is fitted on and of what is judged, of each inner fold.

    Args:
        classes: int (utterances,).
        groups: (utterances,). Each is judged as a whole. None, or one group alone, gives folds that
            are stratified by class and drawn by the seed.
        seed: of these.
    """
    from sklearn.model_selection import GroupKFold, StratifiedKFold

    if groups is not None and (number := len(np.unique(groups))) > 1:
        yield from GroupKFold(min(INNER_FOLDS, number)).split(classes, classes, groups)
        return
    smallest = int(np.bincount(classes)[np.unique(classes)].min())
    splits = max(2, min(INNER_FOLDS, smallest))
    folds = StratifiedKFold(splits, shuffle=True, random_state=seed)
    yield from folds.split(classes, classes)


def _predictions(
    settings: Mapping[str, Sequence[float]],
    train: np.ndarray,
    classes: np.ndarray,
    test: np.ndarray,
) -> dict[tuple[str, float], np.ndarray]:
    """Returns the classes of the test vectors by kernel and C."""
    if len(np.unique(classes)) == 1:
        only = np.full(len(test), classes[0])
        return {(kernel, c): only for kernel, values in settings.items() for c in values}
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC, LinearSVC

    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    gram, test_gram = train @ train.T, test @ train.T
    answers = {}
    if "linear" in settings:
        axes = _principal_axes(gram)
        coordinates, test_coordinates = gram @ axes, test_gram @ axes
        for c in settings["linear"]:
            # The primal solver draws nothing.
            linear = LinearSVC(C=c, class_weight="balanced", dual=False)
            answers["linear", c] = linear.fit(coordinates, classes).predict(test_coordinates)
    if "rbf" in settings:
        # The kernel is exp(-gamma |x - y|^2), where gamma is one over values times variance.
        gamma = 1.0 / (train.shape[1] * train.var())
        squares, test_squares = np.diag(gram), np.sum(np.square(test), axis=1)
        kernel = np.exp(-gamma * (squares[:, None] + squares - 2 * gram))
        test_kernel = np.exp(-gamma * (test_squares[:, None] + squares - 2 * test_gram))
        for c in settings["rbf"]:
            machine = SVC(C=c, kernel="precomputed", class_weight="balanced")
            answers["rbf", c] = machine.fit(kernel, classes).predict(test_kernel)
    return answers


def _principal_axes(gram: np.ndarray) -> np.ndarray:
    """Returns what inner products with the training vectors are multiplied with for coordinates.

    Args:
        gram: float64 (utterances, utterances). Inner products of the training vectors.

    Returns:
        float64 (utterances, axes). `gram @ axes` has the inner products `gram`.
    """
    variances, directions = np.linalg.eigh(gram)
    kept = variances > _SMALLEST_VARIANCE * variances[-1]
    axes: np.ndarray = directions[:, kept] / np.sqrt(variances[kept])
    return axes
