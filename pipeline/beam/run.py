"""Runs a job's graph on the chosen runner, reports its progress and translates its errors."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineResult, PipelineState

from pipeline.beam.errors import cause_of
from pipeline.beam.local_runner import process_pipeline, run_watched
from pipeline.beam.runners import with_checked_runner
from ser_keras.errors import SerError

POLL_S = 0.2

_RUNNER_ARGS = ("--runner", "--direct_running_mode")

Progress = Callable[[str, int, int], None]


def run_graph(
    build: Callable[[beam.Pipeline], Any],
    where: str,
    folder: Path,
    workers: int = 1,
    beam_args: Sequence[str] = (),
) -> PipelineResult:
    """Builds a graph, runs it until it ends and returns its result.

    Args:
        build: adds the job's steps to an empty pipeline.
        where: str. Name of the job in messages, such as "feature job in features".
        folder: Path. The job's staging folder; receives the workers' log.
        workers: int. Processes on this machine, unless `beam_args` name another runner.
        beam_args: options for Beam.

    Raises:
        ConfigError: there is no such runner, its package is not installed, or nobody listens at its
            address.
        SerError: the runner stopped or did not succeed.
    """
    beam_args = with_checked_runner(beam_args)
    in_processes = workers > 1 and not any(arg.startswith(_RUNNER_ARGS) for arg in beam_args)
    try:
        if in_processes:
            pipeline = process_pipeline(workers, folder, beam_args)
        else:
            # Named explicitly, because Beam's default may download another runner.
            pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner", *beam_args]))
        build(pipeline)
        result = run_watched(pipeline, folder) if in_processes else pipeline.run()
        state = _waited_for(result)
    except Exception as error:
        raise SerError(
            f"{where}: Beam stopped: {cause_of(error).removesuffix('.')}. Nothing was published. "
            "Mend the cause and run the same command again."
        ) from error
    if state not in (None, PipelineState.DONE):
        raise SerError(
            f"{where}: Beam ended in the state {state}, expected DONE. Nothing was published. Look "
            "into the runner's log and run the job again."
        )
    return result


def counters_of(result: PipelineResult, namespace: str) -> dict[str, int]:
    """Returns the counters that a runner reports, by name; {} if it reports none, as Dask does.

    Args:
        result: what `run_graph` returned.
        namespace: str. Of the counters.
    """
    try:
        metrics = result.metrics()
    except NotImplementedError:
        return {}
    counters = metrics.query(MetricsFilter().with_namespace(namespace))["counters"]
    return {
        counter.key.metric.name: counter.committed
        for counter in counters
        if counter.committed is not None
    }


def _waited_for(result: PipelineResult) -> Any:
    """Returns the state in which a job ended, with its connection to the runner closed.

    Raises:
        RuntimeError: Dask's scheduler is gone, for which Beam's result has no state.
    """
    # Dask's result keeps a client, and with it the cluster that it may have started.
    client = getattr(result, "client", None)
    if client is None:
        return result.wait_until_finish()
    try:
        state = result.wait_until_finish()
        if any(future.status != "finished" for future in getattr(result, "futures", ())):
            raise RuntimeError("the connection to Dask's scheduler was lost")
        return state
    finally:
        client.close()


@contextmanager
def watching(step: str, done: Callable[[], int], total: int, report: Progress) -> Iterator[None]:
    """Reports the progress of a step while the block runs.

    Args:
        step: str. Name of the step.
        done: counts finished items on the disk that every worker sees, which works for any runner.
        total: int. Number of all items.
        report: called as (step, done, total).
    """
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(POLL_S):
            report(step, done(), total)

    report(step, 0, total)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        report(step, done(), total)
