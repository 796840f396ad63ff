"""The bytes of all requests that are being answered, and their limit."""

import threading

import grpc

from serving.server.errors import RequestError


class RequestMemory:
    """Counts the bytes of requests from their arrival to their answer, and refuses more than fit.

    A request takes several times its bytes: as the transport received it, as a message, as arrays.

    Args:
        limit: int. Bytes that all requests may have together.

    Example:
        >>> memory = RequestMemory(100)
        >>> held = memory.hold(80)
        >>> memory.hold(30)
        Traceback (most recent call last):
        serving.server.errors.RequestError: busy: the requests that are being answered hold 80 of \
100 bytes, this one needs 30; ask again later.
        >>> held.release()
        >>> memory.held
        0
    """

    def __init__(self, limit: int):
        self.limit, self.held = limit, 0
        self._lock = threading.Lock()

    def hold(self, size: int) -> "HeldBytes":
        """Counts a request that has arrived.

        Args:
            size: int. Its bytes.

        Raises:
            RequestError: the others leave no room for it.
        """
        held = HeldBytes(self)
        held.grow(size)
        return held

    def change(self, size: int) -> None:
        """Adds bytes to those that are held, negative ones when they are free again.

        Raises:
            RequestError: as of `hold`.
        """
        with self._lock:
            if size > 0 and self.held + size > self.limit:
                raise RequestError(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    f"busy: the requests that are being answered hold {self.held} of {self.limit} "
                    f"bytes, this one needs {size}; ask again later.",
                )
            self.held += size


class HeldBytes:
    """What one request holds. It is freed at the latest with this object.

    gRPC forgets a request whose client has left, without a word to anyone.

    Args:
        memory: of all requests.
    """

    def __init__(self, memory: RequestMemory):
        self._memory, self._size = memory, 0

    def grow(self, size: int) -> None:
        """Holds more bytes.

        Raises:
            RequestError: as of `RequestMemory.hold`.
        """
        self._memory.change(size)
        self._size += size

    def release(self) -> None:
        """Frees all of them."""
        size, self._size = self._size, 0
        self._memory.change(-size)

    def __del__(self) -> None:
        self.release()
