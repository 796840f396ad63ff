"""Beam's local runner with several processes, which notices when one of them dies.

Beam 2.77's own `--direct_running_mode=multi_processing` waits for ever once a worker process was
killed (out of memory, say), its workers write forty lines each to the terminal, and a worker that
cannot write them, on a full disk, never reports that it failed. Here the same runner starts the
same workers by a command that notes their process number and sends their output through a pipe; a
watch over those numbers ends the job. Remove when Beam does all three.
"""

import logging
import os
import shlex
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability import local_job_service
from apache_beam.runners.portability.fn_api_runner import FnApiRunner, fn_runner
from apache_beam.runners.runner import PipelineResult
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from ser_keras.errors import SerError

GRACE_S = 10.0

_POLL_S = 0.2
_SAID = "workers.pipe"
_LINES_KEPT = 1000
_MODULE = "apache_beam.runners.worker.sdk_worker_main"


def process_pipeline(workers: int, folder: Path, beam_args: Sequence[str] = ()) -> beam.Pipeline:
    """Returns an empty pipeline for `run_watched`.

    Args:
        workers: int. Number of processes.
        folder: Path. Gets the workers' process numbers and, while they run, a named pipe.
        beam_args: further options for Beam.
    """
    # The shell becomes the worker, so that the number is the worker's.
    command = (
        f"echo > {shlex.quote(str(folder))}/$$.worker; "
        f"exec {shlex.quote(sys.executable)} -m {_MODULE} 2> {shlex.quote(str(folder / _SAID))}"
    )
    # They warn of several workers without the mode that is replaced here, and repeat the workers.
    for module in (fn_runner, local_job_service):
        logging.getLogger(module.__name__).setLevel(logging.ERROR)
    return beam.Pipeline(
        runner=FnApiRunner(SubprocessSDKEnvironment.from_command_string(command)),
        options=PipelineOptions([f"--direct_num_workers={workers}", *beam_args]),
    )


def run_watched(pipeline: beam.Pipeline, folder: Path) -> PipelineResult:
    """Runs a pipeline of `process_pipeline` to its end.

    Raises:
        SerError: a worker died before that.
    """
    results: list[PipelineResult | BaseException] = []

    def run() -> None:
        try:
            results.append(pipeline.run())
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run, daemon=True)
    with _listening(folder / _SAID) as said:
        thread.start()
        try:
            _wait(thread, folder, said)
        finally:
            if thread.is_alive():
                # Beam's threads wait for the workers, and the interpreter for those threads.
                for process in _workers(folder):
                    _signal(process, signal.SIGKILL)
    if isinstance(results[0], BaseException):
        raise results[0]
    return results[0]


@contextmanager
def _listening(pipe: Path) -> Iterator[deque[str]]:
    """Makes a named pipe; returns the last lines that were written into it, as they come."""
    lines: deque[str] = deque(maxlen=_LINES_KEPT)
    os.mkfifo(pipe)
    try:
        reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(reading, True)

        def listen() -> None:
            with open(reading, errors="replace") as stream:
                lines.extend(stream)

        # A writer of our own: the stream ends with the last of them, not before the first worker.
        with open(pipe, "wb"):
            threading.Thread(target=listen, daemon=True).start()
            yield lines
    finally:
        pipe.unlink()


def _wait(thread: threading.Thread, folder: Path, said: deque[str]) -> None:
    died_s = None
    while thread.is_alive():
        thread.join(_POLL_S)
        if all(_signal(process, 0) for process in _workers(folder)):
            continue
        # Workers also end when all is done, just before the runner does.
        died_s = died_s or time.monotonic()
        if thread.is_alive() and time.monotonic() - died_s > GRACE_S:
            raise SerError(
                "a worker process died, perhaps for want of memory; its last words: "
                f"{_last_words(said)!r}. Give fewer --workers."
            )


def _last_words(said: deque[str]) -> str:
    lines = [line.rstrip("\n") for line in list(said) if line.strip()]
    words = [line for line in lines if not line.startswith(("INFO:", "WARNING:"))]
    return words[-1] if words else "none"


def _workers(folder: Path) -> list[int]:
    return [int(path.stem) for path in folder.glob("*.worker")]


def _signal(process: int, number: int) -> bool:
    """Sends a signal to one of our workers; returns whether there is such a process."""
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return False
    return True
