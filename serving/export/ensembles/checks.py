"""The check of an ensemble's export: its answers have to be the mean of the trained models'."""

from pathlib import Path

import tensorflow as tf

from ser_keras.audio import read_audio
from ser_keras.metrics import with_temperature
from serving.export.checks import (
    check_limits,
    distance,
    of_one_speaker,
    paths_of,
    shortest_median_longest,
    stored_features,
    track_differences,
)
from serving.export.ensembles.opened import TrainedEnsemble


def check_ensemble(
    version: Path, trained: TrainedEnsemble, data_dir: Path
) -> dict[str, dict[str, float]]:
    """Checks the answers of a SavedModel; returns the differences by recording.

    The shortest, the median and the longest recording of the test part are served from the audio
    on disk. The leader's features are compared with the stored ones, and the probabilities with the
    mean that evaluation makes of the members'. An ensemble with an adapted track has to answer on
    both tracks on recordings of one test speaker, too.

    Raises:
        ExportError: a difference exceeds its limit; says which, where and by how much.
        ConfigError: the recordings are not in `data_dir`.
    """
    signatures = tf.saved_model.load(str(version)).signatures
    leader = trained.members[trained.leader]
    keys = shortest_median_longest(leader)
    adapted = "adapted" in trained.served.tracks
    speaker_keys = of_one_speaker(keys[1], leader) if adapted else ()
    paths = paths_of([*keys, *speaker_keys], leader, data_dir)
    stored = stored_features(keys, leader)
    rate = trained.served.spec.sample_rate_hz
    scores = trained.scores(keys, "blind")
    expected = with_temperature(scores.probabilities, trained.served.temperature)
    row_of = {key: number for number, key in enumerate(scores.keys)}
    differences: dict[str, dict[str, float]] = {}
    for key in keys:
        waveform = read_audio(paths[key], sample_rate_hz=rate)
        audio = {"waveform": tf.constant(waveform[None]), "length": tf.constant([len(waveform)])}
        features = signatures["front_end"](**audio)["features"][0].numpy()
        mean = signatures["serving_default"](**audio)["probabilities"][0].numpy()
        differences[key] = {
            "features": distance(features, stored[key]),
            "probabilities from waveform": distance(mean, expected[row_of[key]]),
        }
    if speaker_keys:
        waveforms = [read_audio(paths[key], sample_rate_hz=rate) for key in speaker_keys]
        by_track = track_differences(
            signatures,
            trained.scores,
            trained.served.temperature,
            speaker_keys,
            waveforms,
        )
        for key, values in by_track:
            differences[key] = differences.get(key, {}) | values
    check_limits(differences)
    return differences
