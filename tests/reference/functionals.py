"""The functionals of one utterance in NumPy, float64, as their definitions read."""

import numpy as np
from scipy.fft import dct

LEVELS = [5, 25, 50, 75, 95]
BANDS_HZ = [(0.5, 2), (2, 4), (4, 8), (8, 16), (16, 32)]
FRAMES_PER_S = 100


def functionals(features, num_mels=64, num_cepstra=20):
    """Returns the functionals of an utterance (frames, num_mels + 11), in their order."""
    features = features.astype(np.float64)
    mels, prosody = features[:, :num_mels], features[:, num_mels:]
    cepstra = dct(mels, norm="ortho", axis=1)[:, :num_cepstra]
    voiced = prosody[:, 1] > 0
    values = np.column_stack([cepstra, prosody])
    parts = [
        *first_functionals(mels, values, prosody, voiced),
        at_least(6, cepstra[voiced], cepstra).mean(axis=0),
        at_least(6, cepstra[voiced], cepstra).std(axis=0),
        at_least(6, cepstra[~voiced], cepstra).mean(axis=0),
        modulation(np.column_stack([prosody, cepstra[:, :8]])),
        deviation(np.diff(values, n=2, axis=0)),
        voiced_changes(prosody, voiced),
        peaks(prosody[:, 5]),
        np.percentile(
            at_least(6, prosody[voiced], prosody)[:, [0, 4, 5, 9, 7]], [1, 10, 90, 99], axis=0
        ).ravel(),
        *(shape(prosody[:, column]) for column in (0, 4, 5)),
        moment(at_least(6, prosody[voiced], prosody), 3),
        np.minimum(moment(at_least(6, prosody[voiced], prosody), 4), 20),
        moment(cepstra, 3),
        correlations(np.column_stack([prosody[:, [0, 2, 4, 7, 8, 9]], cepstra[:, 1:4]])),
    ]
    return np.concatenate(parts)


def first_functionals(mels, values, prosody, voiced):
    count = len(values)
    changes = np.diff(values, axis=0) if count > 1 else np.zeros((1, values.shape[1]))
    slopes = np.zeros(values.shape[1])
    if count > 1:
        slopes = np.polyfit(np.linspace(-1, 1, count), values, 1)[0]
    lengths = runs_of(voiced) or [0]
    runs = [voiced.mean(), np.mean(lengths), np.std(lengths), len(runs_of(voiced)) / count]
    return [
        statistics(values),
        statistics(changes),
        statistics(at_least(6, prosody[voiced], prosody)),
        slopes,
        [*runs, count],
        mels.mean(axis=0),
        mels.std(axis=0),
    ]


def at_least(number, chosen, everything):
    return chosen if len(chosen) >= number else everything


def deviation(values):
    return values.std(axis=0) if len(values) else np.zeros(values.shape[1])


def statistics(values):
    quantiles = np.percentile(values, LEVELS, axis=0)
    ranges = [quantiles[4] - quantiles[0], quantiles[3] - quantiles[1]]
    return np.concatenate([values.mean(axis=0), values.std(axis=0), *quantiles, *ranges])


def runs_of(voiced):
    """Returns the lengths of the voiced runs, counted frame by frame."""
    lengths, before = [], False
    for is_voiced in voiced:
        if is_voiced and before:
            lengths[-1] += 1
        elif is_voiced:
            lengths.append(1)
        before = is_voiced
    return lengths


def modulation(values):
    """Returns log energies by band and value, then log shares: sums over single frequencies."""
    count = len(values)
    window = np.sin(np.pi * (np.arange(count) + 0.5) / count) ** 2
    weighted = (values - values.mean(axis=0)) * window[:, None]
    frequencies = FRAMES_PER_S * np.arange(513) / 1024
    seconds = np.arange(count) / FRAMES_PER_S
    waves = np.exp(-2j * np.pi * frequencies[:, None] * seconds)
    squares = np.abs(waves @ weighted) ** 2
    energies = [
        squares[(frequencies >= low) & (frequencies < high)].sum(axis=0) for low, high in BANDS_HZ
    ]
    energies = np.array(energies) / (window**2).sum()
    shares = (energies + 1e-6) / (energies.sum(axis=0) + 1e-5)
    return np.concatenate([np.log(energies + 1e-4).ravel(), np.log(shares).ravel()])


def voiced_changes(prosody, voiced):
    sizes = np.abs(np.diff(prosody, axis=0))
    sizes = at_least(4, sizes[voiced[1:] & voiced[:-1]], sizes)
    if not len(sizes):
        sizes = np.zeros((1, prosody.shape[1]))
    quantiles = np.percentile(sizes[:, [0, 4, 2, 3]], [50, 90], axis=0)
    return np.concatenate([sizes.mean(axis=0), quantiles.ravel()])


def peaks(loudness):
    """Returns the peaks per second, and deviation and mean of their distances."""
    window = np.hanning(9) / np.hanning(9).sum()
    smooth = np.convolve(loudness, window)[4 : 4 + len(loudness)]
    middle = np.median(smooth)
    positions = [
        frame
        for frame in range(1, len(smooth) - 1)
        if smooth[frame] > max(smooth[frame - 1], middle) and smooth[frame] >= smooth[frame + 1]
    ]
    distances = np.diff(positions) if len(positions) > 1 else np.zeros(1)
    return [len(positions) / len(loudness) * FRAMES_PER_S, distances.std(), distances.mean()]


def shape(track):
    """Returns where a track is highest and lowest, its thirds, and how it rises and falls."""
    count, third = len(track), len(track) // 3
    thirds = [0.0, 0.0]
    if third:
        middle = track[third : 2 * third].mean()
        thirds = [track[:third].mean() - middle, track[2 * third :].mean() - middle]
    averages = [track[max(frame - 2, 0) : frame + 3].mean() for frame in range(count)]
    changes = np.diff(averages)
    rises, falls = changes[changes > 1e-4], changes[changes < -1e-4]
    return [
        track.argmax() / count,
        track.argmin() / count,
        *thirds,
        len(rises) / max(len(changes), 1),
        rises.mean() if len(rises) else 0.0,
        falls.mean() if len(falls) else 0.0,
    ]


def moment(values, power):
    standard = (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-3)
    return (standard**power).mean(axis=0)


def correlations(values):
    standard = (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-5)
    dim = values.shape[1]
    return [
        (standard[:, row] * standard[:, column]).mean()
        for row in range(dim)
        for column in range(row + 1, dim)
    ]
