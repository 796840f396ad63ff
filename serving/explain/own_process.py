"""A process of its own for what needs TensorFlow.

Whoever asks it needs neither TensorFlow nor its memory, and is not taken along when it crashes. The
two talk through a pipe. The end of the pipe is the sign to stop: it comes even if the one that
asks is killed, so that nobody is left behind.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

STOP_S = 20.0


@contextmanager
def own_process(work: Callable[..., None], *arguments: Any) -> Iterator[Connection]:
    """Runs `work(pipe, *arguments)` in a new process; gives the other end of its pipe.

    At the end the pipe is closed, on which `work` has to return: its `recv` raises EOFError. What
    does not return in 20 s is killed.

    Args:
        work: a function of a module, since the process starts afresh.
        arguments: values that can be pickled.
    """
    context = multiprocessing.get_context("spawn")
    ours, its = context.Pipe()
    process = context.Process(target=_run, args=(work, its, arguments), daemon=True)
    process.start()
    # Only the other process may hold it, or its death would not be heard.
    its.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join(STOP_S)
        if process.is_alive():
            process.kill()
            process.join()


def _run(work: Callable[..., None], pipe: Connection, arguments: tuple[Any, ...]) -> None:
    # Ctrl-C reaches every process of a terminal; this one ends after whoever asks it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        work(pipe, *arguments)
    except (EOFError, OSError):
        # Nobody asks any more.
        pipe.close()
