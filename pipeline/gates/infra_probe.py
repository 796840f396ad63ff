"""A separate program: loads a SavedModel with only TensorFlow and answers requests.

`pipeline.gates.infra` starts it as `python -I infra_probe.py FOLDER REQUESTS ANSWERS`, in an
interpreter that can import only Python's standard library, TensorFlow, and what TensorFlow
requires.
"""

import base64
import importlib.abc
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any


class AllowedPackagesFinder(importlib.abc.MetaPathFinder):
    """Refuses to import any module outside the given packages and the standard library.

    Args:
        packages: names of packages.
    """

    def __init__(self, packages: Sequence[str]):
        self.packages = {*packages, *sys.stdlib_module_names}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> None:
        """Leaves allowed modules to the finders after this one."""
        if name.partition(".")[0] not in self.packages:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def answer_all(folder: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Returns the answers of the SavedModel in `folder`.

    Args:
        folder: str. Folder of the version.
        payload: `requests`: list of signature and inputs, each a serialised TensorProto in base 64.

    Returns:
        `tensorflow`: its version; `load_s`; `inputs` and `outputs`: names and types of the default
        signature; `answers`: one for each request.
    """
    import tensorflow as tf

    started_s = time.perf_counter()
    loaded = tf.saved_model.load(folder)
    load_s = time.perf_counter() - started_s
    default = loaded.signatures["serving_default"]
    inputs = {
        tensor.name: tensor.dtype.name for tensor in default.structured_input_signature[1].values()
    }
    outputs = {name: tensor.dtype.name for name, tensor in default.structured_outputs.items()}
    return {
        "tensorflow": tf.__version__,
        "load_s": load_s,
        "inputs": inputs,
        "outputs": outputs,
        "answers": [_answer(tf, loaded.signatures, request) for request in payload["requests"]],
    }


def _answer(tf: Any, signatures: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Runs a request twice, because the first call also prepares the graph."""
    times_ms = []
    try:
        inputs = {name: _tensor(tf, text) for name, text in request["inputs"].items()}
        for _ in range(2):
            started_s = time.perf_counter()
            outputs = {
                name: value.numpy()
                for name, value in signatures[request["signature"]](**inputs).items()
            }
            times_ms.append(1000 * (time.perf_counter() - started_s))
    except Exception as error:
        return {"error": f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"}
    floats = {name: value for name, value in outputs.items() if value.dtype.kind == "f"}
    return {
        "times_ms": times_ms,
        "not_finite": sorted(
            name for name, v in floats.items() if not (abs(v) < float("inf")).all()
        ),
        "outputs": {
            name: _plain(outputs[name])
            for name in ("probabilities", "label", "classes")
            if name in outputs
        },
    }


def _tensor(tf: Any, text: str) -> Any:
    from tensorflow.core.framework import tensor_pb2

    return tf.constant(tf.make_ndarray(tensor_pb2.TensorProto.FromString(base64.b64decode(text))))


def _plain(values: Any) -> Any:
    if values.dtype.kind == "f":
        return values.tolist()
    return [[text.decode() for text in row] if values.ndim > 1 else row.decode() for row in values]


def main(folder: str, requests: str, answers: str) -> None:
    """Reads the requests and writes the answers."""
    payload = json.loads(Path(requests).read_text(encoding="utf-8"))
    sys.meta_path.insert(0, AllowedPackagesFinder(payload["packages"]))
    Path(answers).write_text(json.dumps(answer_all(folder, payload)), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
