"""Oracle of the prosodic features: their definitions as loops over frames and lags."""

import math

import librosa
import numpy as np

from ser_keras.features.kinds.prosody import ProsodySpec


def prosody(spec: ProsodySpec, wave: np.ndarray) -> np.ndarray:
    """Returns (frames, dim) float64 of a trimmed waveform."""
    long, short = round(spec.pitch_frame_s * spec.sample_rate_hz), spec.frame_samples
    frames = []
    while len(frames) * spec.hop_samples + long <= len(wave) or not frames:
        frame = wave[len(frames) * spec.hop_samples :][:long].astype(np.float64)
        frames.append(np.pad(frame, (0, long - len(frame))))
    if spec.normalize_peak:
        peak = max(abs(sample) for frame in frames for sample in frame)
        frames = [frame / max(peak, 1e-6) for frame in frames]
    first = (long - short) // 2
    mels = [_mel_energies(spec, frame[first : first + short]) for frame in frames]
    pitches = [_pitch(spec, frame) for frame in frames]
    loudest = max(pitch["energy"] for pitch in pitches)
    voiced = [
        pitch["r"] > spec.voicing_threshold
        and pitch["energy"] > loudest / 10 ** (spec.voicing_range_db / 10)
        for pitch in pitches
    ]
    track = _filled(_smoothed([pitch["log2_f0"] for pitch in pitches]), voiced)
    rows = []
    for number, (mel, pitch) in enumerate(zip(mels, pitches, strict=True)):
        earlier = max(0, number - 1)
        rows.append(
            [
                *(math.log(energy) for energy in mel),
                track[number],
                float(voiced[number]),
                pitch["r"],
                10 * math.log10(pitch["r"] / (1 - pitch["r"])),
                math.log10(pitch["energy"] + 1e-4),
                *_levels(spec, mel, mels[earlier]),
                10 * (track[number] - track[earlier]),
            ]
        )
    return np.array(rows)


def _mel_energies(spec: ProsodySpec, frame: np.ndarray) -> list[float]:
    window = 0.5 - 0.5 * np.cos(2 * math.pi * np.arange(len(frame)) / len(frame))
    spectrum = np.abs(np.fft.rfft(frame * window, spec.fft_points)) ** 2
    filters = librosa.filters.mel(
        sr=spec.sample_rate_hz,
        n_fft=spec.fft_points,
        n_mels=spec.num_mels,
        fmin=spec.fmin_hz,
        fmax=spec.fmax_hz,
        htk=spec.mel_scale == "htk",
        norm=None,
        dtype=np.float64,
    )
    return [float(row @ spectrum) + spec.floor for row in filters]


def _pitch(spec: ProsodySpec, frame: np.ndarray) -> dict[str, float]:
    size, rate = len(frame), spec.sample_rate_hz
    window = 0.5 - 0.5 * np.cos(2 * math.pi * np.arange(size) / size)
    frame = (frame - sum(frame) / size) * window
    shortest, longest = int(rate / spec.f0_max_hz), int(rate / spec.f0_min_hz)

    def product(signal: np.ndarray, lag: int) -> float:
        return float(signal[: size - lag] @ signal[lag:])

    energy = product(frame, 0)
    correlation = {}
    for lag in range(shortest - 1, longest + 2):
        share = product(frame, lag) / (energy + 1e-6 * size)
        shape = product(window, lag) / product(window, 0)
        correlation[lag] = round(min(1.0, max(-1.0, share / shape)), 9)
    best, best_score = shortest, -math.inf
    for lag in range(shortest, longest + 1):
        peak = correlation[lag - 1] <= correlation[lag] >= correlation[lag + 1]
        score = correlation[lag] - spec.octave_cost * math.log2(lag / shortest)
        if peak and score > best_score:
            best, best_score = lag, score
    before, at, after = (correlation[best + offset] for offset in (-1, 0, 1))
    period = float(best)
    if before <= at >= after and before + after < 2 * at:
        quadratic, linear, _ = np.polyfit([-1, 0, 1], [before, at, after], 2)
        period -= linear / (2 * quadratic)
    r = at if best_score > -math.inf else 0.0
    return {
        "energy": energy,
        "log2_f0": math.log2(rate / period),
        "r": min(0.999, max(1e-3, r)),
    }


def _smoothed(track: list[float]) -> list[float]:
    padded = [track[0]] * 2 + track + [track[-1]] * 2
    return [sorted(padded[number : number + 5])[2] for number in range(len(track))]


def _filled(track: list[float], voiced: list[bool]) -> list[float]:
    known = [number for number, is_voiced in enumerate(voiced) if is_voiced]
    if len(known) <= 3:
        return [7.3] * len(track)
    filled = []
    for number in range(len(track)):
        left = max((k for k in known if k <= number), default=known[0])
        right = min((k for k in known if k >= number), default=known[-1])
        share = (number - left) / (right - left) if right > left else 0.0
        filled.append(track[left] + share * (track[right] - track[left]))
    return filled


def _levels(spec: ProsodySpec, mel: list[float], earlier: list[float]) -> list[float]:
    count = len(mel)
    changes = [math.log(now) - math.log(past) for now, past in zip(mel, earlier, strict=True)]
    middle = (count - 1) / 2
    fall = sum((number - middle) * math.log(energy) for number, energy in enumerate(mel))
    return [
        sum(energy**0.3 for energy in mel),
        sum(max(0.0, change) for change in changes) / count,
        sum(number * energy for number, energy in enumerate(mel)) / (sum(mel) + 1e-6),
        fall / sum((number - middle) ** 2 for number in range(count)),
        math.log(sum(mel[: spec.low_bands]) / sum(mel[spec.low_bands :])),
    ]
