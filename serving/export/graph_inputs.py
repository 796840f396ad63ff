"""Checks and decoding of a request's inputs, inside the graph, so that every server refuses alike.

A refused request gets INVALID_ARGUMENT with the message.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

MAX_SECONDS = 120
# By how much rounding may push a mean of squares below the squared mean, per unit of the latter.
ROUNDING = 1e-4


def require(condition: tf.Tensor, *message: str | tf.Tensor) -> tf.Operation:
    """Returns the operation that refuses a request unless all of `condition` is true.

    Args:
        condition: bool, of any shape.
        message: texts and whole numbers, joined.
    """
    parts = [part if isinstance(part, str) else tf.strings.as_string(part) for part in message]
    return tf.debugging.Assert(tf.reduce_all(condition), [tf.strings.join(parts)])


def too_long(name: str) -> str:
    """Returns the message for an input that exceeds `MAX_SECONDS`."""
    return (
        f"{name} is longer than {MAX_SECONDS} s. Send windows of some seconds, one after another; "
        "SerClient.timeline and ser predict --timeline do so by themselves."
    )


def checked_waveform(
    waveform: tf.Tensor, length: tf.Tensor, sample_rate_hz: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns waveform (batch, samples) and length (batch,), after checks of their values."""
    samples = tf.shape(waveform)[1]
    checks = [
        require(length > 0, "length must be 1 or more."),
        require(length <= samples, "length exceeds the samples of waveform."),
        require(samples <= MAX_SECONDS * sample_rate_hz, too_long("waveform")),
        require(tf.math.is_finite(waveform), "waveform has NaN or infinite samples."),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(waveform), length


def checked_statistics(
    name: str, statistics: tf.Tensor, size: int, rows: tf.Tensor, before: Sequence[tf.Operation]
) -> tf.Tensor:
    """Returns a speaker's statistics, float32 (rows, size), after checks of their values.

    Args:
        name: str. Of the input, for messages.
        statistics: float32 (rows, size): count, mean and mean of squares.
        size: int. 1 + 2 dim.
        rows: int32. Recordings of the request.
        before: checks that come first, so that a request with several faults always gets the same
            message.
    """
    dim = (size - 1) // 2

    def after(*checks: tf.Operation) -> Any:
        return tf.control_dependencies(checks)

    with after(*before):
        shape = tf.shape(statistics)
        fits = require(
            tf.equal(shape[1], size),
            f"{name} has ",
            shape[1],
            f" values, expected {size}: count, {dim} means and {dim} means of squares, as enrol "
            "returns them.",
        )
    with after(fits):
        one_each = require(
            tf.equal(shape[0], rows),
            f"{name} has ",
            shape[0],
            " rows, expected one for each waveform, of which there are ",
            rows,
            ".",
        )
    with after(one_each):
        statistics = tf.ensure_shape(statistics, (None, size))
        finite = require(
            tf.math.is_finite(statistics),
            f"{name} has NaN or infinite values. Enrol the speaker again.",
        )
    with after(finite):
        counted = require(
            statistics[:, 0] >= 1.0,
            f"{name} has a count below 1, so nothing is known of the speaker. Enrol a recording, "
            "or ask serving_default.",
        )
    mean, square = statistics[:, 1 : 1 + dim], statistics[:, 1 + dim :]
    with after(counted):
        spread = require(
            square >= tf.square(mean) - ROUNDING * (1.0 + tf.square(mean)),
            f"{name} has a mean of squares below the squared mean, a negative variance. Merge "
            "statistics by weighted means, or enrol the speaker again.",
        )
    with after(spread):
        return tf.identity(statistics)


def decoded_wav(wav: tf.Tensor, sample_rate_hz: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns waveforms (batch, samples) and lengths (batch,) of WAV files, string (batch,)."""

    def decode(contents: tf.Tensor) -> tf.Tensor:
        audio, rate = tf.audio.decode_wav(contents)
        check = require(
            tf.equal(rate, sample_rate_hz),
            "wav is at ",
            rate,
            f" Hz, expected {sample_rate_hz}. Convert it first, for example with ffmpeg -i IN.wav "
            f"-ac 1 -ar {sample_rate_hz} OUT.wav; SerClient and ser predict do so by themselves.",
        )
        with tf.control_dependencies([check]):
            return tf.reduce_mean(audio, axis=1)

    kind = tf.RaggedTensorSpec((None,), tf.float32, ragged_rank=0)
    rows: Any = tf.map_fn(decode, wav, fn_output_signature=kind)
    return rows.to_tensor(), tf.cast(rows.row_lengths(), tf.int32)
