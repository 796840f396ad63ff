"""Functions that several signatures call, traced once: an export holds their graph once."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def traced_once(function: Callable[..., Any], *specs: tf.TensorSpec) -> Callable[..., Any]:
    """Returns a function of tensors of these specs whose graph all callers share.

    Args:
        function: of tensors, such as a layer with thousands of operations.
        specs: of its arguments.
    """
    # A layer has attributes of its own, which TensorFlow would take for those of a function.
    return tf.function(lambda *tensors: function(*tensors), input_signature=specs)
