"""Slow, obvious scores: counting, one utterance at a time."""


def recalls(true, predicted, classes):
    result = []
    for k in range(classes):
        answers = [p for t, p in zip(true, predicted, strict=True) if t == k]
        result.append(answers.count(k) / len(answers) if answers else None)
    return result


def unweighted_accuracy(true, predicted, classes):
    present = [recall for recall in recalls(true, predicted, classes) if recall is not None]
    return sum(present) / len(present)


def binary_accuracy(true, predicted, classes):
    total = 0
    for k in range(classes):
        right = sum((t == k) == (p == k) for t, p in zip(true, predicted, strict=True))
        total += right / len(true)
    return total / classes


def binary_balanced_accuracy(true, predicted, classes):
    scores = []
    for k in range(classes):
        sides = []
        for side in (True, False):
            answers = [
                (p == k) == side for t, p in zip(true, predicted, strict=True) if (t == k) == side
            ]
            sides.append(sum(answers) / len(answers) if answers else None)
        if sides[0] is not None:
            scores.append(sides[0] if sides[1] is None else (sides[0] + sides[1]) / 2)
    return sum(scores) / len(scores)


def calibration_error(true, probabilities, bins):
    total = 0.0
    for b in range(bins):
        inside = []
        for t, row in zip(true, probabilities, strict=True):
            confidence = max(row)
            if b / bins < confidence <= (b + 1) / bins:
                inside.append((confidence, list(row).index(confidence) == t))
        if inside:
            accuracy = sum(right for _, right in inside) / len(inside)
            confidence = sum(c for c, _ in inside) / len(inside)
            total += len(inside) / len(true) * abs(accuracy - confidence)
    return total


def speaker_interval(true, predicted, speakers, classes, draws):
    """Scores each draw: how often every speaker (sorted by name) is in the resample."""
    names = sorted(set(speakers))
    scores = []
    for draw in draws:
        t, p = [], []
        for name, times in zip(names, draw, strict=True):
            indices = [i for i, speaker in enumerate(speakers) if speaker == name]
            t += [true[i] for i in indices] * int(times)
            p += [predicted[i] for i in indices] * int(times)
        scores.append(unweighted_accuracy(t, p, classes))
    return scores
