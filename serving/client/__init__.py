"""Clients of a model server, without TensorFlow: `from serving.client import SerClient`."""

import importlib
from typing import Any

_MODULES = {
    "Prediction": "serving.client.prediction",
    "SerClient": "serving.client.client",
    "ServerError": "serving.client.connection",
    "Statistics": "serving.client.speaker_statistics",
    "StatisticsError": "serving.client.speaker_statistics",
}


def __getattr__(name: str) -> Any:
    # Imported when used: the options of the command line are in this package, too, and listing the
    # verbs must not load gRPC.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
