"""The memory that requests share, and its limit."""

import threading
from collections import deque

import grpc

from serving.server.admission import MAX_TIMEOUT_S
from serving.server.errors import RequestError


class MemoryBudget:
    """Counts the bytes that requests take together, and keeps them below a limit.

    What does not fit is refused at once (`take`), or waits until there is room (`wait_for`).

    Args:
        limit: int. Bytes that all requests may take together.
        reserve: int. What requests that can wait leave of them to those that cannot.

    Example:
        >>> budget = MemoryBudget(100)
        >>> with budget.take(80):
        ...     budget.take(30)
        Traceback (most recent call last):
        serving.server.errors.RequestError: busy: the requests that are being answered take 80 of \
100 bytes of memory, this one needs 30; ask again later.
        >>> with budget.wait_for(60, wait_s=5.0) as share:
        ...     share.resize(30)
        ...     budget.taken
        30
        >>> budget.taken
        0
    """

    def __init__(self, limit: int, reserve: int = 0):
        self.limit, self.taken = limit, 0
        self._limit_of_waiting = limit - reserve
        self._freed = threading.Condition()
        self._queue: deque[Share] = deque()

    def take(self, size: int) -> "Share":
        """Returns a share for a request that cannot wait.

        Args:
            size: int. Bytes that the request needs.

        Raises:
            RequestError: the others leave no room for it.
        """
        share = Share(self)
        share.resize(size)
        return share

    def wait_for(self, size: int, wait_s: float | None) -> "Share":
        """Returns a share for a request as soon as there is room, in the order of the requests.

        Args:
            size: int. Bytes that the request needs. If that is more than requests that wait may
                have, it gets all of that.
            wait_s: float or None. Most time to wait, an hour at most; None for an hour.

        Raises:
            RequestError: others had the memory all that time.
        """
        most = self._limit_of_waiting
        size, share = min(size, most), Share(self)
        # A lock cannot wait as long as gRPC says where a client gave no deadline.
        limit_s = MAX_TIMEOUT_S if wait_s is None else min(wait_s, MAX_TIMEOUT_S)
        with self._freed:
            self._queue.append(share)
            try:
                has_room = self._freed.wait_for(
                    lambda: self._queue[0] is share and self.taken + size <= most, limit_s
                )
                if not has_room:
                    raise RequestError(
                        grpc.StatusCode.RESOURCE_EXHAUSTED,
                        "busy: the memory for requests is taken; ask again later.",
                    )
                share.resize(size)
            finally:
                self._queue.remove(share)
                self._freed.notify_all()
        return share

    def change(self, size: int) -> None:
        """Adds bytes to those that are taken; negative ones when they are free again.

        Raises:
            RequestError: as of `take`.
        """
        with self._freed:
            if size > 0 and self.taken + size > self.limit:
                raise RequestError(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    f"busy: the requests that are being answered take {self.taken} of {self.limit} "
                    f"bytes of memory, this one needs {size}; ask again later.",
                )
            self.taken += size
            if size < 0:
                self._freed.notify_all()


class Share:
    """What one request takes. It is freed at the end of a context, or at the latest with this.

    gRPC forgets a request whose client has left, without a word to anyone.

    Args:
        budget: the budget that it belongs to.
    """

    def __init__(self, budget: MemoryBudget):
        self._budget, self.size = budget, 0

    def resize(self, size: int) -> None:
        """Takes so many bytes from now on, instead of those before.

        Raises:
            RequestError: as of `MemoryBudget.take`.
        """
        self._budget.change(size - self.size)
        self.size = size

    def release(self) -> None:
        """Frees all of them."""
        self.resize(0)

    def __enter__(self) -> "Share":
        return self

    def __exit__(self, *problem: object) -> None:
        self.release()

    def __del__(self) -> None:
        self.release()
