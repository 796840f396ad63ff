"""One vector of each utterance, and its normalisation by the utterance's speaker."""

from collections.abc import Sequence

import numpy as np

from ser_keras.data.example import decode_example
from ser_keras.data.feature_set import FeatureSet
from ser_keras.data.record_files import read_framed


def read_vectors(feature_set: FeatureSet, keys: Sequence[str]) -> np.ndarray:
    """Returns the vector of each utterance, float64 (keys, values), in the order of the keys.

    Features with one row, such as openSMILE's functionals, are the vector. Of others it is the mean
    and the deviation over time.

    Args:
        feature_set: features of all keys.
        keys: of the utterances.

    Raises:
        SchemaError: a file of the feature set is damaged.
    """
    one_row = all(row.frames == 1 for row in feature_set.rows)
    position = {key: index for index, key in enumerate(keys)}
    vectors = np.empty((len(keys), feature_set.schema.dim * (1 if one_row else 2)))
    for path in feature_set.shard_paths:
        for key, features in map(decode_example, read_framed(path)):
            if key not in position:
                continue
            values = features.astype(np.float64)
            mean_and_std = [values.mean(axis=0), values.std(axis=0)]
            vectors[position[key]] = values[0] if one_row else np.concatenate(mean_and_std)
    return vectors


def z_scored_by_speaker(vectors: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """Returns vectors minus the mean of their speaker's vectors, over the deviation of these.

    A value that does not vary within a speaker becomes 0. Only the vectors that are given count:
    neither labels nor other speakers, nor other recordings of the same speaker.

    Args:
        vectors: float64 (utterances, values).
        speakers: str (utterances,). Who speaks.
    """
    result = np.empty_like(vectors)
    for speaker in np.unique(speakers):
        spoken = speakers == speaker
        deviation = vectors[spoken].std(axis=0)
        centred = vectors[spoken] - vectors[spoken].mean(axis=0)
        result[spoken] = centred / np.where(deviation > 0, deviation, 1.0)
    return result
