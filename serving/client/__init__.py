"""Clients of a model server, without TensorFlow: `from serving.client import SerClient`."""

import importlib
from typing import Any

_PUBLIC = {"Prediction": "serving.client.prediction"}
_PUBLIC |= dict.fromkeys(("SerClient", "ServerError"), "serving.client.client")


def __getattr__(name: str) -> Any:
    # The options of the command line stand in this package, too, and they need no gRPC.
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
