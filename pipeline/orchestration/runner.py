"""Runs a pipeline: reuses the executions that are still valid, and executes and publishes the rest.

For each node, in order: plan the execution, look it up in the cache, register it, run it in an
attempt's folder, publish its outputs. The folder `<root>/.attempts/<cache key>/<output>` becomes
`<root>/<node>/<output>/<execution_id>`. The record with the state LIVE is written last, so that a
kill at any time leaves nothing that looks finished and is not. A cached execution is not registered
again, so a run with nothing to do writes nothing. Only one run at a time may use a root.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from pipeline.components.contract import Task
from pipeline.lineage.garbage import ATTEMPTS, refuse_removed_speakers
from pipeline.lineage.publishers import note_publisher
from pipeline.lineage.records import ABANDONED, LIVE, PENDING, Execution, Output, now
from pipeline.lineage.store import Lineage
from pipeline.orchestration.cache import ExecutionCache, missing_import
from pipeline.orchestration.definition import Node, Pipeline
from pipeline.orchestration.node_result import (
    CACHED,
    DONE,
    FAILED,
    LOOKING,
    REFUSED,
    RUNNING,
    SKIPPED,
    NodeResult,
    RunObserver,
    SilentObserver,
)
from pipeline.publishing.file_hashes import digest
from ser_keras.errors import SerError
from ser_keras.files import locked, sync_tree


@contextmanager
def root_locked(root: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Locks a root while the block runs; calls `waiting` if another process holds the lock."""
    with locked(root / ".lock", waiting):
        yield


def run_pipeline(
    pipeline: Pipeline,
    observer: RunObserver | None = None,
    *,
    waiting: Callable[[], None] = lambda: None,
) -> list[NodeResult]:
    """Runs a pipeline, or continues it.

    A node that fails or refuses stops only the nodes that need it.

    Args:
        pipeline: what to run.
        observer: receives the events of the run.
        waiting: called if another run holds the root; this run then waits for it.

    Returns:
        The result of each node, in the order of the pipeline.

    Raises:
        ConfigError: an import is not there; nothing has run.
        SchemaError: a record of the lineage is damaged.
    """
    _check_imports(pipeline)
    with root_locked(pipeline.root, waiting):
        run = _PipelineRun(pipeline, observer or SilentObserver())
        try:
            for node in pipeline.nodes:
                run.run_node(node)
            run.write_latest()
        finally:
            run.cache.hashes.save()
    return list(run.results.values())


def _check_imports(pipeline: Pipeline) -> None:
    for node in pipeline.nodes:
        for key, source in node.inputs.items():
            if source.path is not None and not source.path.exists():
                raise missing_import(source.path, node, key)


class _PipelineRun:
    """One run, which holds the lock of its root."""

    def __init__(self, pipeline: Pipeline, observer: RunObserver):
        # Absolute, because a worker has a current folder of its own.
        self.pipeline, self.root, self.observer = pipeline, pipeline.root.absolute(), observer
        self.lineage = Lineage(self.root)
        self.lineage.require_readable()
        self.cache = ExecutionCache(pipeline.name, self.lineage)
        self.results: dict[str, NodeResult] = {}
        for record in self.lineage.records:
            # The run that wrote it held the lock, so it has ended.
            if record.state == PENDING:
                self.lineage.write(replace(record, state=ABANDONED, error="killed"))

    def run_node(self, node: Node) -> None:
        """Takes a node's result from the cache or executes it, and stores the result."""
        unmet = [name for name in node.needs if not self.results[name].succeeded]
        if unmet:
            reason = f"{unmet[0]} {self.results[unmet[0]].state}"
            self._set_result(NodeResult(node.name, SKIPPED), reason)
            return
        try:
            self.observer.state(node.name, LOOKING)
            planned = self.cache.plan(node, self.results)
            execution, state = self.cache.find(planned), CACHED
            if execution is None:
                self.observer.state(node.name, RUNNING)
                execution, state = self._execute(node, planned), DONE
            if execution.refusal:
                state = REFUSED
            self._set_result(NodeResult(node.name, state, execution), execution.refusal)
        except SerError as error:
            self._set_result(NodeResult(node.name, FAILED, error=error), str(error))
        except OSError as error:
            stopped = SerError(
                f"node {node.name}: stopped by {error.strerror or error} "
                f"({error.filename or 'no file'}). Nothing of it was published. Make room or mend "
                "the folder, and run the pipeline again."
            )
            self._set_result(NodeResult(node.name, FAILED, error=stopped), str(stopped))

    def write_latest(self) -> None:
        """Stores the execution behind each node; a failed node keeps its previous one."""
        previous = self.lineage.latest(self.pipeline.name)
        current = {
            name: result.execution.execution_id
            for name, result in self.results.items()
            if result.execution is not None
        }
        kept = {name: previous[name] for name in self.results if name in previous}
        self.lineage.set_latest(self.pipeline.name, kept | current)

    def _set_result(self, result: NodeResult, text: str) -> None:
        self.results[result.node] = result
        self.observer.state(result.node, result.state, text)

    def _execute(self, node: Node, execution: Execution) -> Execution:
        """Executes a node in its attempt's folder and publishes it; returns the live record."""
        self.lineage.write(execution)
        attempt = self.root / ATTEMPTS / execution.cache_key[:16]
        resumes = node.component.spec.resumes
        try:
            if not resumes:
                shutil.rmtree(attempt, ignore_errors=True)
            folders = {key: attempt / key for key in node.component.spec.outputs}
            for folder in folders.values():
                folder.mkdir(parents=True, exist_ok=True)
            executed = self._run_component(node, execution, folders)
            live = self._publish(node, executed, folders)
        except BaseException as error:
            reason = f"{type(error).__name__}: {error}"
            # On a full disk the record stays PENDING; the next run marks it as abandoned.
            with suppress(OSError):
                self.lineage.write(replace(execution, state=ABANDONED, ended=now(), error=reason))
            if not resumes:
                shutil.rmtree(attempt, ignore_errors=True)
            raise
        shutil.rmtree(attempt, ignore_errors=True)
        return live

    def _run_component(
        self, node: Node, execution: Execution, folders: Mapping[str, Path]
    ) -> Execution:
        """Lets the component work; returns the record with its facts and its refusal."""
        result = node.component.execute(
            Task(
                {item.key: self.lineage.path(item) for item in execution.inputs},
                folders,
                node.parameters,
                lambda what, done, total: self.observer.progress(node.name, what, done, total),
            )
        )
        refuse_removed_speakers(self.lineage, result.facts)
        facts = dict(result.facts)
        if "path" in facts:
            facts["path"] = str(Path(facts["path"]).absolute())
            note_publisher(Path(facts["path"]), self.root, execution.pipeline)
        return replace(execution, facts=facts, refusal=result.refusal)

    def _publish(self, node: Node, execution: Execution, folders: Mapping[str, Path]) -> Execution:
        """Moves the outputs to their final folders, hashes them and writes the LIVE record."""
        outputs = []
        for key, folder in folders.items():
            published = self.root / node.name / key / execution.execution_id
            published.parent.mkdir(parents=True, exist_ok=True)
            sync_tree(folder)
            os.rename(folder, published)
            files = self.cache.hashes.tree(published)
            uri = published.relative_to(self.root).as_posix()
            kind = node.component.spec.outputs[key]
            outputs.append(Output(key, kind, uri, digest(files), files))
        live = replace(execution, state=LIVE, ended=now(), outputs=tuple(outputs))
        self.lineage.write(live)
        return live
