"""A process that only predicts does not pay for Keras, and can have it afterwards."""

import subprocess
import sys


def test_tensorflow_comes_without_keras_and_keras_afterwards():
    program = """
import os, sys
from serving.explain.without_keras import import_tensorflow
import_tensorflow()
assert "tensorflow" in sys.modules
assert "keras" not in sys.modules, "TensorFlow imported Keras all the same"
assert "TF_USE_LEGACY_KERAS" not in os.environ
import keras
print(float(keras.ops.sum(keras.ops.ones(3))), keras.backend.backend())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split() == ["3.0", "tensorflow"]
