"""Imports TensorFlow in half of its time, for processes that only run SavedModels."""

import os
import sys


def import_tensorflow() -> None:
    """Imports TensorFlow without Keras, unless one of them is imported already.

    TensorFlow 2.16 imports Keras, and with it scikit-learn, at its own import: 3 of 7 seconds on a
    slow machine. It does not where it is told to use the old Keras and finds none. Keras can still
    be imported afterwards.
    """
    if "tensorflow" in sys.modules or "keras" in sys.modules:
        return
    name = "TF_USE_LEGACY_KERAS"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        import tensorflow  # noqa: F401
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
