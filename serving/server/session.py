"""A SavedModel as TensorFlow Serving runs it: its session, its signatures, its refusals.

The graph runs in TensorFlow's own session, fed and fetched by the names of the SignatureDef, so
that wrong types and shapes are refused by the same code, with the same words, as by a server.
"""

import math
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from ser_keras.errors import ConfigError
from serving.client.message_classes import MAX_ARRAY_BYTES
from serving.export.trust.check import check_export
from serving.export.warmup import read_warmup
from serving.server.admission import AdmissionControl
from serving.server.batching import Arrays, Batcher, BatchingParameters
from serving.server.errors import RequestError
from serving.server.requests.inputs import input_arrays
from serving.server.requests.large_batches import run_in_parts
from serving.server.requests.memory import MemoryBudget
from serving.server.requests.names import check_inputs, checked_outputs
from serving.server.requests.text import shown
from serving.server.signature_function import GRAPH_MEMORY_BYTES, SignatureFunction

SERVE = "serve"
DEFAULT = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY

Load = Callable[[tf.compat.v1.Session, Path], Any]


def _load_all(session: tf.compat.v1.Session, folder: Path) -> Any:
    return tf.compat.v1.saved_model.load(session, [SERVE], str(folder))


class LoadedModel:
    """One version in memory.

    Args:
        folder: Path of the version.
        batching: how requests of equal shapes that wait at the same time are joined; None runs
            each by itself.
        warm_up: bool. Answer the requests that came with the export first, so that the first one of
            a user is not slow. It takes longer than a few answers.
        load: function of a session and the folder that loads the version and returns its meta
            graph; None loads all of it.
        trust: bool. Load it even if `ser export` did not make it, see `serving.export.trust`.
        memory: of all graphs that run at once; None for a budget of its own.

    Raises:
        RequestError: the folder holds no SavedModel that can be served, it is not to be trusted, a
            warm-up request fails, or its answer is not finite.
    """

    def __init__(
        self,
        folder: Path,
        batching: BatchingParameters | None = None,
        *,
        warm_up: bool = True,
        load: Load | None = None,
        trust: bool = False,
        memory: MemoryBudget | None = None,
    ):
        self.folder = folder
        self._memory = memory or MemoryBudget(GRAPH_MEMORY_BYTES)
        try:
            check_export(folder, trust=trust)
        except ConfigError as error:
            raise RequestError.failed_precondition(str(error)) from None
        config = config_pb2.ConfigProto()
        # A second round improves nothing and takes a twentieth of the loading time.
        rewriting = config.graph_options.rewrite_options
        rewriting.meta_optimizer_iterations = rewriting.ONE
        self.session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
        try:
            self._load(load or _load_all, batching, warm_up=warm_up)
        except Exception as error:
            # A damaged file may raise anything, from `DecodeError` to `RecursionError`.
            self.session.close()
            raise RequestError.while_loading(folder, error) from error
        except BaseException:
            self.session.close()
            raise

    def _load(self, load: Load, batching: BatchingParameters | None, *, warm_up: bool) -> None:
        with self.session.graph.as_default():
            meta = load(self.session, self.folder)
        # What the metadata list, among them the operation that restores the weights.
        self.described = dict(meta.signature_def)
        self.signatures = {
            name: signature
            for name, signature in self.described.items()
            if not name.startswith("__")
        }
        self._batched = {name for name, sig in self.signatures.items() if _is_batched(sig)}
        self._functions = {
            name: SignatureFunction(self.session, signature, self._memory)
            for name, signature in self.signatures.items()
        }
        # Hands the graph to the session, as `Session.run` does before it runs anything.
        self.session.make_callable([])
        self._admission, self._batcher = AdmissionControl(), None
        if warm_up:
            self._warm_up()
        # The first runs are slow and say nothing about later ones.
        self._batcher = Batcher(batching, self._run) if batching else None
        self._admission = self._batcher.admission if self._batcher else AdmissionControl()

    def close(self) -> None:
        """Frees the memory. No request may be running."""
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
            timeout_s: float. The graph is stopped after this time, if that is soon.

        Raises:
            RequestError: the request does not fit the signature, the graph refuses it, or it could
                not be answered in time.
        """
        names = self.check_names(signature_name, inputs, outputs)
        name, size = signature_name or DEFAULT, _size(inputs)
        if self._batcher is not None and name in self._batched and _is_batch(inputs):
            values = self._batcher.run(name, inputs, size, timeout_s)
        else:
            with self._admission.turn(name, size, timeout_s) as left_s:
                values = self._run(name, inputs, left_s)
        return {name: values[name] for name in names}

    def check_names(
        self, signature_name: str, inputs: Collection[str], outputs: Sequence[str] = ()
    ) -> list[str]:
        """Returns the outputs to be returned, before the inputs of a request are read.

        Args:
            signature_name: str.
            inputs: names of the inputs.
            outputs: as of `run`.

        Raises:
            RequestError: there is no such signature, or it has other inputs or outputs.
        """
        signature = self.signature(signature_name)
        check_inputs(signature, inputs)
        return checked_outputs(signature, outputs)

    def _run(self, name: str, inputs: Arrays, timeout_s: float | None) -> Arrays:
        """Returns all outputs of the signature called `name`; a large batch runs in parts."""
        deadline = math.inf if timeout_s is None else time.perf_counter() + timeout_s

        def run_part(part: Arrays) -> Arrays:
            return self._run_graph(name, part, deadline)

        return run_in_parts(inputs, run_part) if name in self._batched else run_part(inputs)

    def _run_graph(self, name: str, inputs: Arrays, deadline: float) -> Arrays:
        """Returns all outputs of the signature called `name`, from one run of the graph.

        Args:
            name: str.
            inputs: mapping of its inputs to arrays.
            deadline: float. By `time.perf_counter`; infinite without a limit.
        """
        try:
            return self._functions[name](inputs, deadline)
        except tf.errors.OpError as error:
            raise RequestError(error.error_code, error.message.split("\n")[0]) from None
        except (TypeError, ValueError) as error:
            raise RequestError.invalid(str(error)) from None

    def signature(self, name: str) -> Any:
        """Returns the SignatureDef called `name`, `serving_default` for an empty name."""
        name = name or DEFAULT
        if name not in self.signatures:
            raise RequestError.failed_precondition(
                f'Serving signature key "{shown(name)}" not found.'
            )
        return self.signatures[name]

    def _warm_up(self) -> None:
        for request in read_warmup(self.folder):
            inputs = input_arrays(request.inputs, MAX_ARRAY_BYTES)
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
    """Tells whether the batch is the first axis of all inputs and outputs."""
    shapes = [
        tensor.tensor_shape
        for tensors in (signature.inputs, signature.outputs)
        for tensor in tensors.values()
    ]
    return all(bool(shape.dim) and shape.dim[0].size == -1 for shape in shapes)


def _is_batch(inputs: Arrays) -> bool:
    """Tells whether a request may run with others without a change of its answer.

    A request with texts may not: recordings in files differ in length, and the maps of a batch are
    as long as its longest recording.
    """
    values = list(inputs.values())
    if any(value.ndim == 0 or value.dtype == object for value in values):
        return False
    return len({len(value) for value in values}) == 1 and len(values[0]) > 0
