"""A program by itself: loads a SavedModel with TensorFlow alone and answers requests.

`pipeline.gates.infra` starts it as `python -I infra_probe.py FOLDER REQUESTS ANSWERS`, in an
interpreter that can import only Python's own library, TensorFlow, and what TensorFlow requires.
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


class OnlyThese(importlib.abc.MetaPathFinder):
    """Refuses every module that is not inside one of the packages.

    Args:
        packages: names of packages.
    """

    def __init__(self, packages: Sequence[str]):
        self.packages = {*packages, *sys.stdlib_module_names}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> None:
        """Leaves what is allowed to the finders behind this one."""
        if name.partition(".")[0] not in self.packages:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def answer_all(folder: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Returns what the SavedModel in `folder` answers.

    Args:
        folder: str. Of the version.
        asked: `requests`: list of signature and inputs, each a serialised TensorProto in base 64.

    Returns:
        `tensorflow`: its version; `load_s`; `inputs` and `outputs` of the default signature, names
        and types; `answers`: one for each request.
    """
    import tensorflow as tf

    began = time.perf_counter()
    loaded = tf.saved_model.load(folder)
    load_s = time.perf_counter() - began
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
        "answers": [_answer(tf, loaded.signatures, request) for request in asked["requests"]],
    }


def _answer(tf: Any, signatures: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Asks twice: the first time a graph also gets ready."""
    times_ms = []
    try:
        inputs = {name: _tensor(tf, text) for name, text in request["inputs"].items()}
        for _ in range(2):
            began = time.perf_counter()
            found = {
                name: value.numpy()
                for name, value in signatures[request["signature"]](**inputs).items()
            }
            times_ms.append(1000 * (time.perf_counter() - began))
    except Exception as error:
        return {"error": f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"}
    floats = {name: value for name, value in found.items() if value.dtype.kind == "f"}
    return {
        "times_ms": times_ms,
        "not_finite": sorted(
            name for name, v in floats.items() if not (abs(v) < float("inf")).all()
        ),
        "outputs": {
            name: _plain(found[name])
            for name in ("probabilities", "label", "classes")
            if name in found
        },
    }


def _tensor(tf: Any, text: str) -> Any:
    from tensorflow.core.framework import tensor_pb2

    return tf.constant(tf.make_ndarray(tensor_pb2.TensorProto.FromString(base64.b64decode(text))))


def _plain(values: Any) -> Any:
    if values.dtype.kind == "f":
        return values.tolist()
    return [[one.decode() for one in row] if values.ndim > 1 else row.decode() for row in values]


def main(folder: str, requests: str, answers: str) -> None:
    """Reads the requests, writes the answers."""
    asked = json.loads(Path(requests).read_text(encoding="utf-8"))
    sys.meta_path.insert(0, OnlyThese(asked["packages"]))
    found = answer_all(folder, asked)
    Path(answers).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
