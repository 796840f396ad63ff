"""Beam's local runner with several processes, ended when one of them dies.

Beam 2.77's own `--direct_running_mode=multi_processing` has three faults. It waits forever after a
worker process was killed, for example for lack of memory. Its workers write forty lines each to the
terminal. A worker that cannot write them, on a full disk, never reports its failure. Here the same
runner starts the same workers by a command that records their process numbers and sends their
output through a pipe, and the job is ended when one of these processes disappears. Remove this
module when Beam has corrected all three.
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
_LOG_PIPE = "workers.pipe"
_LINES_KEPT = 1000
_MODULE = "apache_beam.runners.worker.sdk_worker_main"


def process_pipeline(workers: int, folder: Path, beam_args: Sequence[str] = ()) -> beam.Pipeline:
    """Returns an empty pipeline for `run_watched`.

    Args:
        workers: int. Number of processes.
        folder: Path. Receives the workers' process numbers and, while they run, a named pipe.
        beam_args: further options for Beam.
    """
    # `exec` turns the shell into the worker, so that the process number is the worker's.
    command = (
        f"echo > {shlex.quote(str(folder))}/$$.worker; "
        f"exec {shlex.quote(sys.executable)} -m {_MODULE} 2> {shlex.quote(str(folder / _LOG_PIPE))}"
    )
    # These loggers warn of several workers without the mode replaced here, and repeat their logs.
    for module in (fn_runner, local_job_service):
        logging.getLogger(module.__name__).setLevel(logging.ERROR)
    return beam.Pipeline(
        runner=FnApiRunner(SubprocessSDKEnvironment.from_command_string(command)),
        options=PipelineOptions([f"--direct_num_workers={workers}", *beam_args]),
    )


def run_watched(pipeline: beam.Pipeline, folder: Path) -> PipelineResult:
    """Runs a pipeline of `process_pipeline` until it ends.

    Raises:
        SerError: a worker died.
    """
    results: list[PipelineResult | BaseException] = []

    def run() -> None:
        try:
            results.append(pipeline.run())
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run, daemon=True)
    with _log_lines(folder / _LOG_PIPE) as log:
        thread.start()
        try:
            _wait(thread, folder, log)
        finally:
            if thread.is_alive():
                # Beam's threads wait for the workers, and the interpreter for those threads.
                for process in _workers(folder):
                    _signal(process, signal.SIGKILL)
    if isinstance(results[0], BaseException):
        raise results[0]
    return results[0]


@contextmanager
def _log_lines(pipe: Path) -> Iterator[deque[str]]:
    """Creates a named pipe; yields the last lines written into it, updated while the block runs."""
    lines: deque[str] = deque(maxlen=_LINES_KEPT)
    os.mkfifo(pipe)
    try:
        read_end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(read_end, True)

        def collect() -> None:
            with open(read_end, errors="replace") as stream:
                lines.extend(stream)

        # This writer keeps the stream open from before the first worker until after the last.
        with open(pipe, "wb"):
            threading.Thread(target=collect, daemon=True).start()
            yield lines
    finally:
        pipe.unlink()


def _wait(thread: threading.Thread, folder: Path, log: deque[str]) -> None:
    died_s = None
    while thread.is_alive():
        thread.join(_POLL_S)
        if all(_signal(process, 0) for process in _workers(folder)):
            continue
        # Workers also end when the job is done, just before the runner does.
        died_s = died_s or time.monotonic()
        if thread.is_alive() and time.monotonic() - died_s > GRACE_S:
            raise SerError(
                "a worker process died, perhaps for lack of memory; its last log line: "
                f"{_last_log_line(log)!r}. Give fewer --workers."
            )


def _last_log_line(log: deque[str]) -> str:
    lines = [line.rstrip("\n") for line in list(log) if line.strip()]
    errors = [line for line in lines if not line.startswith(("INFO:", "WARNING:"))]
    return errors[-1] if errors else "none"


def _workers(folder: Path) -> list[int]:
    return [int(path.stem) for path in folder.glob("*.worker")]


def _signal(process: int, number: int) -> bool:
    """Sends a signal to a worker; returns whether the process exists."""
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return False
    return True
