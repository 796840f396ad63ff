"""What models in memory cost the process beside their bytes."""

import ctypes
import gc
import sys

# glibc's numbers of two parameters, the size from which a block of memory is large, and the number
# of heaps that threads share.
M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES = -3, 2**20
M_ARENA_MAX, HEAPS = -8, 2


def _glibc() -> ctypes.CDLL | None:
    """Returns the C library if it is glibc; musl and macOS have other allocators."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None


_LIBC = _glibc()


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
    requests at once left 1.5 GB behind. Fewer heaps keep less.
    """
    if _LIBC is not None:
        _LIBC.mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)
        _LIBC.mallopt(M_ARENA_MAX, HEAPS)


def give_back_free_pages() -> None:
    """Returns to the system what is free between small blocks, as a large request leaves it."""
    if _LIBC is not None:
        _LIBC.malloc_trim(0)
