"""One signature of a loaded graph, run within its share of memory and time."""

from collections.abc import Mapping
from typing import Any

import grpc
import numpy as np
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.client import pywrap_tf_session

from serving.server.admission import seconds_until
from serving.server.errors import RequestError
from serving.server.loading.memory import give_back_free_pages
from serving.server.requests.large_batches import decoded_size
from serving.server.requests.memory import MemoryBudget

Arrays = Mapping[str, np.ndarray]
# With a time limit the session runs the graph in another thread, which costs half a millisecond.
# Longer limits are left to gRPC, which answers in time; the graph then runs on, but not for long,
# since the size of a request is limited.
MAX_GRAPH_TIMEOUT_S = 10.0
# A graph that makes features of audio takes so many times the bytes of its inputs: at most 47 were
# measured, with two minutes of speech and the ready model.
GRAPH_COPIES = 50
# Memory for all graphs where no other limit is given.
GRAPH_MEMORY_BYTES = 768 * 2**20
# Larger inputs run one operation after the other, in the thread of the request. With operations at
# the same time, more arrays are in memory at the same time, half as much again. The session cannot
# stop such a run; none takes longer than two minutes of speech do.
ONE_BY_ONE_BYTES = 2 * 2**20
CALLERS_THREAD = -1


class SignatureFunction:
    """Runs a signature below `Session.run`, which refuses shapes that a server accepts.

    All outputs are fetched, whichever are requested, and the time limit goes with the call: a
    session prepares itself anew, for a second, for every other set of outputs.

    This is the only use of private TensorFlow here (2.16.2: `Tensor._as_tf_output`,
    `Session._call_tf_sessionrun` and `pywrap_tf_session`). `Session.run` and the functions of
    `Session.make_callable` check shapes and look up every name at each call, and neither leaves the
    refusal of a wrong shape to the graph, whose words a server's client expects. It can go once
    public TensorFlow runs a SignatureDef with a time limit and without these checks, or once this
    server no longer has to refuse in TensorFlow Serving's words.

    Args:
        session: the session that holds the graph.
        signature: SignatureDef.
        memory: of all graphs that run at once.
    """

    def __init__(self, session: Any, signature: Any, memory: MemoryBudget):
        self._session, self._memory = session, memory
        self._feeds = self._outputs_of_graph(signature.inputs)
        self._fetches = self._outputs_of_graph(signature.outputs)

    def __call__(self, inputs: Arrays, deadline: float) -> Arrays:
        """Returns all outputs of the signature by name.

        Args:
            inputs: mapping of its inputs to arrays.
            deadline: float. By `time.perf_counter`; infinite without a limit.

        Raises:
            RequestError: there is no memory for the run, or no time.
            tf.errors.OpError, TypeError, ValueError: the graph refuses the inputs.
        """
        size = decoded_size(inputs)
        with self._memory.wait_for(GRAPH_COPIES * size, seconds_until(deadline)):
            values = self._run(inputs, run_options(size, seconds_until(deadline)))
            if size > ONE_BY_ONE_BYTES:
                give_back_free_pages()
            return values

    def _run(self, inputs: Arrays, options: config_pb2.RunOptions) -> Arrays:
        feeds = {self._feeds[name]: value for name, value in inputs.items()}
        buffer = pywrap_tf_session.TF_NewBufferFromString(options.SerializeToString())
        try:
            values = self._session._call_tf_sessionrun(
                buffer, feeds, list(self._fetches.values()), [], None
            )
        finally:
            pywrap_tf_session.TF_DeleteBuffer(buffer)
        return dict(zip(self._fetches, values, strict=True))

    def _outputs_of_graph(self, tensors: Any) -> dict[str, Any]:
        """Returns TensorFlow's handles of a signature's inputs or outputs, in order of name."""
        graph = self._session.graph
        return {
            name: graph.get_tensor_by_name(tensors[name].name)._as_tf_output()
            for name in sorted(tensors)
        }


def run_options(size: int, left_s: float | None) -> config_pb2.RunOptions:
    """Returns how a graph runs whose inputs have so many bytes.

    Raises:
        RequestError: no time is left for a run that cannot be stopped.
    """
    options = config_pb2.RunOptions()
    if size > ONE_BY_ONE_BYTES:
        if left_s is not None and left_s <= 0:
            raise RequestError(grpc.StatusCode.DEADLINE_EXCEEDED, "late: no time is left")
        options.inter_op_thread_pool = CALLERS_THREAD
    elif left_s is not None and left_s < MAX_GRAPH_TIMEOUT_S:
        options.timeout_in_ms = max(1, round(1000 * left_s))
    return options
