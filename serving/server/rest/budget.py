"""Memory that requests share."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from serving.server.errors import RequestError


class Share:
    """The part of a budget that one request has.

    Args:
        budget: the budget that it belongs to.
        size: int. Bytes.
    """

    def __init__(self, budget: "MemoryBudget", size: int):
        self._budget, self.size = budget, size

    def shrink(self, size: int) -> None:
        """Returns what is more than `size` bytes to the budget."""
        if size < self.size:
            self._budget.give_back(self.size - size)
            self.size = size


class MemoryBudget:
    """Lets requests wait until the memory that they need is free.

    Args:
        limit: int. Bytes that all requests may have together. A request that needs more runs alone.

    Example:
        >>> budget = MemoryBudget(100)
        >>> with budget.share(80, wait_s=0.0) as share:
        ...     share.shrink(30)
        ...     budget.taken
        30
    """

    def __init__(self, limit: int):
        self.limit, self.taken = limit, 0
        self._freed = threading.Condition()

    @contextmanager
    def share(self, size: int, wait_s: float) -> Iterator[Share]:
        """Gives a share of the budget, as long as the context lasts.

        Args:
            size: int. Bytes that the request needs.
            wait_s: float. Most time to wait for them.

        Raises:
            RequestError: others had the memory all that time.
        """
        share = Share(self, min(size, self.limit))
        with self._freed:
            if not self._freed.wait_for(lambda: self.taken + share.size <= self.limit, wait_s):
                raise RequestError(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    "busy: the memory for requests is taken; ask again later.",
                )
            self.taken += share.size
        try:
            yield share
        finally:
            self.give_back(share.size)

    def give_back(self, size: int) -> None:
        """Returns bytes to the budget."""
        with self._freed:
            self.taken -= size
            self._freed.notify_all()
