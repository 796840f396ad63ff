"""A request as gRPC hands it over: parsed within limits, its bytes counted until it is answered."""

from typing import Any

import grpc
import numpy as np
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import model_pb2

from serving.client.message_classes import parsed
from serving.client.tensors import size_of
from serving.server.errors import RequestError
from serving.server.requests.inputs import input_arrays
from serving.server.requests.memory import MemoryBudget, Share
from serving.server.requests.record import RequestRecord

# How the names of classes begin that are built from the table of messages.
PACKAGE = "tensorflow_serving_"
# A request is in memory as the transport received it, as a message, and as arrays.
COPIES = 3


class ReceivedRequest:
    """A request that is being answered, or the reason why it is not.

    Args:
        message: the parsed request, or its refusal.
        size: int. Its bytes.
        share: what it takes of the memory for requests.
        max_array_bytes: int. Most bytes of its arrays.
    """

    def __init__(self, message: Any, size: int, share: Share, max_array_bytes: int):
        self._message, self.size = message, size
        self._share, self._max_array_bytes = share, max_array_bytes

    @property
    def message(self) -> Any:
        """The request.

        Raises:
            RequestError: it was refused.
        """
        if isinstance(self._message, RequestError):
            raise self._message
        return self._message

    @property
    def spec(self) -> Any:
        """A copy of the model's specification, which does not keep the message in memory.

        Raises:
            RequestError: the request was refused.
        """
        return model_pb2.ModelSpec.FromString(self.message.model_spec.SerializeToString())

    def describe(self, record: RequestRecord) -> None:
        """Writes into the record what the request asks for.

        Raises:
            RequestError: it was refused.
        """
        if not hasattr(self.message, "model_spec"):
            return
        spec = self.spec
        record.model, record.signature = spec.name, spec.signature_name
        if choice := spec.WhichOneof("version_choice"):
            record.version = str(spec.version.value if choice == "version" else spec.version_label)

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the inputs of a PredictRequest, and frees the message.

        Raises:
            RequestError: they are no valid tensors, or there is no memory for them.
        """
        arrays = input_arrays(self.message.inputs, self._max_array_bytes)
        self._message = None
        # A value that stands for a whole tensor takes more than it was sent as.
        self._share.resize(sum(map(size_of, arrays.values())))
        return arrays

    def release(self) -> None:
        """Frees what the request holds."""
        self._message = None
        self._share.release()


def received(
    request_class: Any, data: bytes, memory: MemoryBudget, max_array_bytes: int
) -> ReceivedRequest:
    """Returns a request, parsed unless it is refused.

    Args:
        request_class: class of the message.
        data: bytes of the message.
        memory: of all requests.
        max_array_bytes: int. Most bytes of the arrays of this one.
    """
    share, name = Share(memory), request_class.DESCRIPTOR.name
    try:
        share.resize(COPIES * len(data))
        message = parsed(request_class, data, max_array_bytes)
    except RequestError as error:
        code, problem = error.code, error.message
    except (DecodeError, ValueError) as error:
        code = grpc.StatusCode.INVALID_ARGUMENT
        problem = f"The request is no {name.removeprefix(PACKAGE)}: {error}"
    else:
        return ReceivedRequest(message, len(data), share, max_array_bytes)
    share.release()
    # A new one: what was raised would keep the bytes in memory, by its traceback.
    return ReceivedRequest(RequestError(code, problem), len(data), share, max_array_bytes)
