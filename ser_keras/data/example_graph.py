"""Parses the records of a feature set inside a TensorFlow graph."""

import tensorflow as tf

from ser_keras.data.example import TEXT_KEYS


def parse_example(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Parses one record inside a TensorFlow graph.

    Args:
        serialized: string scalar.

    Returns:
        "features" float32 (frames, dim), "duration_s" float32 scalar, and the `TEXT_KEYS` as
        string scalars.
    """
    kinds = {
        "features": tf.io.FixedLenFeature((), tf.string),
        "shape": tf.io.FixedLenFeature((2,), tf.int64),
        "duration_s": tf.io.FixedLenFeature((), tf.float32),
        **{name: tf.io.FixedLenFeature((), tf.string) for name in TEXT_KEYS},
    }
    parsed = tf.io.parse_single_example(serialized, kinds)
    values = tf.io.decode_raw(parsed["features"], tf.float32, little_endian=True)
    parsed["features"] = tf.reshape(values, parsed.pop("shape"))
    return parsed
