"""What models in memory cost the process beside their bytes."""

import ctypes
import gc
import sys

# glibc's number of this parameter, and the size from which a block of memory is large.
M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES = -3, 2**20


def exempt_from_garbage_collection() -> None:
    """Exempts all objects in memory from Python's garbage collector.

    TensorFlow and a graph are 400,000 objects. Under load the collector would traverse all of them
    every half minute; that takes a quarter of a second without answers, and makes requests late.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def give_back_large_blocks() -> None:
    """Lets large blocks of memory return to the system as soon as they are free.

    glibc does so until a large one is freed for the first time. Then it takes blocks of this size
    from heaps of the threads, and each heap keeps what is free between others: a hundred large
    requests at once left 1.5 GB behind.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)
