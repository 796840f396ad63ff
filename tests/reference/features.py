"""Oracles of the features: librosa for the values, the definition spelled out for the small parts.

librosa has no frame shorter than its DFT without centring, so the signal is padded by half the
difference on both sides; magnitudes do not change. It works in float64 here: in float32 its own
rounding of MFCC (values near 1000) is already 2e-4.
"""

import librosa
import numpy as np

from ser_keras.features.frames import FrameSpec
from tests.reference.prosody import prosody


def features(spec: FrameSpec, waveform: np.ndarray) -> np.ndarray:
    """Returns (frames, dim) float64 of `spec` computed by librosa."""
    wave = trimmed(spec, waveform.astype(np.float64))
    if spec.kind == "mfcc_windows":
        return windows(spec, wave)
    if spec.kind == "prosody":
        return prosody(spec, wave)
    return frames(spec, wave)


def windows(spec: FrameSpec, wave: np.ndarray) -> np.ndarray:
    """Returns (windows, dim): librosa's MFCC of one window after the other, then its statistics."""
    rows = []
    for index in range(num_frames(spec, len(wave))):
        window = wave[index * spec.window_hop_samples :][: spec.window_samples]
        window = np.pad(window, (0, spec.window_samples - len(window)))
        values = frames(spec, window)
        if spec.statistics == "frames":
            rows.append([number for frame in values for number in frame])
        else:
            mean = sum(values) / len(values)
            deviation = np.sqrt(sum((values - mean) ** 2) / len(values))
            rows.append([*mean, *deviation] if spec.statistics == "mean_std" else mean)
    return np.array(rows)


def frames(spec: FrameSpec, wave: np.ndarray) -> np.ndarray:
    """Returns (frames, dim) of the whole signal."""
    wave = np.pad(wave, (0, max(0, spec.frame_samples - len(wave))))
    short = spec.fft_points - spec.frame_samples
    wave = np.pad(wave, (short // 2, short - short // 2))
    options = {
        "n_fft": spec.fft_points,
        "hop_length": spec.hop_samples,
        "win_length": spec.frame_samples,
        "window": spec.window,
        "center": False,
    }
    if spec.kind == "spectrogram":
        magnitude = np.abs(librosa.stft(wave, **options))[: spec.num_bins]
        if spec.scale == "magnitude":
            return magnitude.T
        return librosa.power_to_db(magnitude**2, amin=spec.floor, top_db=None).T
    mel = librosa.feature.melspectrogram(
        y=wave,
        sr=spec.sample_rate_hz,
        n_mels=spec.num_mels,
        fmin=spec.fmin_hz,
        fmax=spec.fmax_hz,
        htk=spec.mel_scale == "htk",
        **options,
    )
    if spec.kind == "logmel":
        static = np.log(np.maximum(mel, spec.floor))
    else:
        decibels = librosa.power_to_db(mel, amin=spec.floor, top_db=spec.top_db)
        static = librosa.feature.mfcc(S=decibels, n_mfcc=spec.num_mfcc)
    deltas = [
        librosa.feature.delta(static, width=9, order=order + 1, mode="nearest")
        for order in range(spec.num_deltas)
    ]
    return np.concatenate([static, *deltas]).T


def num_frames(spec: FrameSpec, num_samples: int) -> int:
    """Counts the frames, or windows, one by one."""
    length, hop = spec.frame_samples, spec.hop_samples
    if spec.kind == "mfcc_windows":
        length, hop = spec.window_samples, spec.window_hop_samples
    if spec.kind == "prosody":
        length = round(spec.pitch_frame_s * spec.sample_rate_hz)
    return count(length, hop, num_samples)


def count(length: int, hop: int, num_samples: int) -> int:
    """Counts pieces of `length`, one every `hop`, that fit; at least one."""
    pieces = 0
    while pieces * hop + length <= num_samples:
        pieces += 1
    return max(pieces, 1)


def trimmed(spec: FrameSpec, waveform: np.ndarray) -> np.ndarray:
    """Cuts the waveform to the samples of the frames that `spec.trim_db` keeps."""
    if spec.trim_db is None or len(waveform) <= spec.frame_samples:
        return waveform
    energies = []
    for index in range(count(spec.frame_samples, spec.hop_samples, len(waveform))):
        start = index * spec.hop_samples
        frame = waveform[start : start + spec.frame_samples]
        energies.append(sum(float(sample) ** 2 for sample in frame) / len(frame))
    kept = [
        index
        for index, energy in enumerate(energies)
        if energy >= max(energies) / 10.0 ** (spec.trim_db / 10.0)
    ]
    return waveform[kept[0] * spec.hop_samples : kept[-1] * spec.hop_samples + spec.frame_samples]
