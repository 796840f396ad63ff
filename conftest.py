"""What has to be set before anything imports TensorFlow or Keras, for tests and doctests alike."""

import importlib.util
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("MPLBACKEND", "agg")
# As the command `ser` has it: other kernels round otherwise, and hashes of weights would differ.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# Several processes share the cores already; threads of each would only wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

# They have no doctests, and gradio is not in every environment.
collect_ignore = ["serving/web/page.py", "serving/web/page_server.py"]

pytest_plugins = ["tests.small_features", "tests.small_trainings", "tests.small_runs"]


def pytest_report_header() -> list[str]:
    """Says which environment this is, for the reader of a log with several of them."""
    tfio = "installed" if importlib.util.find_spec("tensorflow_io") else "not installed"
    return [
        f"keras backend: {os.environ['KERAS_BACKEND']}, tensorflow-io: {tfio}, "
        f"real data: {os.environ.get('SER_KERAS_DATA', 'none')}"
    ]
