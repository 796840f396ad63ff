"""A SavedModel as TensorFlow Serving runs it: its session, its signatures, its refusals.

The graph runs in TensorFlow's own session, fed and fetched by the names of the SignatureDef, so
that wrong types and shapes are refused by the same code, with the same words, as by a server.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.client import pywrap_tf_session

from serving.export.warmup import read_warmup
from serving.server.admission import Pace
from serving.server.batching import Arrays, Batches, Batching
from serving.server.errors import RequestError

SERVE = "serve"
# With a limit the session runs the graph in another thread, which costs half a millisecond. Longer
# ones are left to gRPC, which answers in time; the caps on a request bound what then runs on.
LONGEST_LIMIT_S = 10.0
DEFAULT = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY


class LoadedModel:
    """One version in memory.

    Args:
        folder: Path of the version.
        batching: how requests that wait at the same time are joined, where their shapes are equal;
            None runs each alone.

    Raises:
        tensorflow.errors.OpError, OSError: the folder holds no SavedModel that can be served.
        RequestError: a warm-up request fails, or its answer is not finite.
    """

    def __init__(self, folder: Path, batching: Batching | None = None):
        self.folder = folder
        config = config_pb2.ConfigProto()
        # A second round finds nothing to improve and costs a twentieth of the time to get ready.
        rewriting = config.graph_options.rewrite_options
        rewriting.meta_optimizer_iterations = rewriting.ONE
        self.session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
        try:
            with self.session.graph.as_default():
                meta = tf.compat.v1.saved_model.load(self.session, [SERVE], str(folder))
            self.signatures = {
                name: signature
                for name, signature in meta.signature_def.items()
                if not name.startswith("__")
            }
            self._batched = {name for name, one in self.signatures.items() if _is_batched(one)}
            self._places = {name: self._placed(one) for name, one in self.signatures.items()}
            self.session._extend_graph()
            self._pace, self._batches = Pace(), None
            self._warm_up()
            # What the first runs took says nothing about those that follow.
            self._batches = Batches(batching, self._run) if batching else None
            self._pace = self._batches.pace if self._batches else Pace()
        except BaseException:
            self.session.close()
            raise

    def close(self) -> None:
        """Frees the memory. Nothing may be running."""
        self.session.close()

    def run(
        self,
        signature_name: str,
        inputs: Arrays,
        outputs: Sequence[str] = (),
        timeout_s: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature.

        Args:
            signature_name: str.
            inputs: mapping of the signature's input names to arrays.
            outputs: which outputs; all when empty.
            timeout_s: float. After it the graph is told to stop, if that is soon.

        Raises:
            RequestError: the request does not fit the signature, the graph refuses it, or it could
                not be answered in time.
        """
        signature = self.signature(signature_name)
        _check_inputs(signature, inputs)
        names = _checked_outputs(signature, outputs)
        name, size = signature_name or DEFAULT, _size(inputs)
        if self._batches is not None and name in self._batched and _is_batch(inputs):
            found = self._batches.run(name, inputs, size, timeout_s)
        else:
            with self._pace.turn(name, size, timeout_s) as left_s:
                found = self._run(name, inputs, left_s)
        return {name: found[name] for name in names}

    def _run(self, name: str, inputs: Arrays, timeout_s: float | None) -> Arrays:
        """Returns all outputs of the signature called `name`."""
        feeds, fetches = self._places[name]
        options = config_pb2.RunOptions()
        if timeout_s is not None and timeout_s < LONGEST_LIMIT_S:
            options.timeout_in_ms = max(1, round(1000 * timeout_s))
        try:
            values = self._session_run(
                {feeds[key]: value for key, value in inputs.items()},
                list(fetches.values()),
                options.SerializeToString(),
            )
        except tf.errors.OpError as error:
            raise RequestError(error.error_code, error.message.split("\n")[0]) from None
        except (TypeError, ValueError) as error:
            raise RequestError.invalid(str(error)) from None
        return dict(zip(fetches, values, strict=True))

    def signature(self, name: str) -> Any:
        """Returns the SignatureDef called `name`, `serving_default` for an empty name."""
        name = name or DEFAULT
        if name not in self.signatures:
            raise RequestError.failed_precondition(f'Serving signature key "{name}" not found.')
        return self.signatures[name]

    def _placed(self, signature: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Returns the places in the graph of a signature's inputs and of all its outputs."""

        def places(tensors: Any) -> dict[str, Any]:
            graph = self.session.graph
            return {
                name: graph.get_tensor_by_name(tensors[name].name)._as_tf_output()
                for name in sorted(tensors)
            }

        return places(signature.inputs), places(signature.outputs)

    def _session_run(self, feeds: dict[Any, Any], fetches: list[Any], options: bytes) -> list[Any]:
        """Runs the graph below `Session.run`, which refuses shapes that a server takes.

        All outputs are fetched, whichever are wanted, and the time limit goes with the call: a
        session prepares itself anew, for a second, for every other set of outputs.
        """
        buffer = pywrap_tf_session.TF_NewBufferFromString(options)
        try:
            values: list[Any] = self.session._call_tf_sessionrun(buffer, feeds, fetches, [], None)
            return values
        finally:
            pywrap_tf_session.TF_DeleteBuffer(buffer)

    def _warm_up(self) -> None:
        for request in read_warmup(self.folder):
            inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
            outputs = self.run(request.model_spec.signature_name, inputs)
            for name, values in outputs.items():
                if values.dtype.kind == "f" and not np.isfinite(values).all():
                    raise RequestError.invalid(
                        f"warm-up of {request.model_spec.signature_name}: output {name} is not "
                        "finite."
                    )


def _size(inputs: Arrays) -> int:
    """Returns the bytes of a request's arrays."""
    return sum(
        sum(map(len, values.ravel())) if values.dtype == object else values.nbytes
        for values in inputs.values()
    )


def _is_batched(signature: Any) -> bool:
    """Tells whether the first axis of all inputs and outputs is that of the batch."""
    shapes = [
        tensor.tensor_shape
        for tensors in (signature.inputs, signature.outputs)
        for tensor in tensors.values()
    ]
    return all(bool(shape.dim) and shape.dim[0].size == -1 for shape in shapes)


def _is_batch(inputs: Arrays) -> bool:
    """Tells whether a request may run with others and still gets what it would get alone.

    Texts may not: recordings in files differ in length, and maps are as long as the longest.
    """
    values = list(inputs.values())
    if any(value.ndim == 0 or value.dtype == object for value in values):
        return False
    return len({len(value) for value in values}) == 1 and len(values[0]) > 0


def _check_inputs(signature: Any, inputs: Arrays) -> None:
    """Refuses another number of inputs, or other names, in TensorFlow Serving's words."""
    expected, found = set(signature.inputs), set(inputs)
    if len(found) != len(expected):
        raise RequestError.invalid(
            f"input size does not match signature: {len(found)}!={len(expected)} "
            f"len({_listed(found)}) != len({_listed(expected)}). "
            f"Sent extra: {_listed(found - expected)}. "
            f"Missing but required: {_listed(expected - found)}."
        )
    if found != expected:
        name = min(found - expected)
        raise RequestError.invalid(
            f"input tensor alias not found in signature: {name}. Inputs expected to be in the set "
            f"{_listed(expected)}."
        )


def _checked_outputs(signature: Any, wanted: Sequence[str]) -> list[str]:
    known = sorted(signature.outputs)
    for number, name in enumerate(wanted):
        if name not in signature.outputs:
            raise RequestError.invalid(
                f"output tensor alias not found in signature: {name} Outputs expected to be in "
                f"the set {_listed(known)}."
            )
        if name in wanted[:number]:
            raise RequestError.invalid(f"duplicate output tensor alias: {name}")
    return list(wanted) or known


def _listed(names: Any) -> str:
    return "{" + ",".join(sorted(names)) + "}"
