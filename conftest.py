"""What has to be set before anything imports TensorFlow or Keras, for tests and doctests alike."""

import importlib.util
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("MPLBACKEND", "agg")

HAS_TENSORFLOW_IO = importlib.util.find_spec("tensorflow_io") is not None

# Doctests import every module; this one is the only module that imports tensorflow-io.
collect_ignore = [] if HAS_TENSORFLOW_IO else ["ser_keras/data/augment.py"]


def pytest_report_header() -> list[str]:
    """Says which environment this is, and what its tests leave out because of that."""
    lines = [f"keras backend: {os.environ['KERAS_BACKEND']}"]
    if not HAS_TENSORFLOW_IO:
        lines.append("tensorflow-io is not installed: doctests of ser_keras/data/augment.py left out")
    if "SER_KERAS_DATA" in os.environ:
        lines.append(f"real data: {os.environ['SER_KERAS_DATA']}")
    return lines
