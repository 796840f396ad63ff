"""Runs a pipeline: what has been done before is found again, everything else is done and published.

For each node, in order: resolve inputs, look up the cache, register, run in an attempt's folder,
publish. The folder `<root>/.attempts/<cache key>/<output>` becomes
`<root>/<node>/<output>/<execution_id>`, and the record that says LIVE is written last, so that a
kill at any time leaves nothing that looks finished and is not. What is found again is not
registered: a run with nothing to do writes nothing. One run at a time has a root.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from pipeline.components import COMPONENTS
from pipeline.components.contract import Task
from pipeline.lineage.garbage import ATTEMPTS, refuse_removed_speakers
from pipeline.lineage.store import (
    ABANDONED,
    LIVE,
    PENDING,
    Execution,
    Input,
    Lineage,
    Output,
    new_execution_id,
    now,
)
from pipeline.orchestration.code_hash import code_sha256
from pipeline.orchestration.definition import Node, Pipeline, Source
from pipeline.publishing.file_hashes import MEMORY, Hashes, digest
from ser_keras.errors import ConfigError, SerError
from ser_keras.experiments.provenance import PACKAGES, versions
from ser_keras.files import locked, sync_tree

WAITING, LOOKING, RUNNING = "waiting", "looking", "running"
CACHED, DONE, REFUSED, FAILED, SKIPPED = "cached", "done", "refused", "failed", "skipped"


class View(Protocol):
    """Who watches a run."""

    def state(self, node: str, state: str, text: str = "") -> None:
        """Is told that a node has come into a state; `text` says more."""

    def progress(self, node: str, what: str, done: int, total: int) -> None:
        """Is told how far a running node is; total 0 is unknown."""


class Unwatched:
    """Nobody watches."""

    def state(self, node: str, state: str, text: str = "") -> None:
        """Does nothing."""

    def progress(self, node: str, what: str, done: int, total: int) -> None:
        """Does nothing."""


@dataclass(frozen=True)
class Ended:
    """What became of a node.

    Args:
        node: str.
        state: str. CACHED, DONE, REFUSED, FAILED or SKIPPED.
        execution: the record of its artifacts, None where there are none.
        error: why it failed, None where it did not.
    """

    node: str
    state: str
    execution: Execution | None = None
    error: SerError | None = None

    @property
    def well(self) -> bool:
        """Whether nodes that need this one may run."""
        return self.state in (CACHED, DONE)


@contextmanager
def root_locked(root: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Has a root alone while the block runs; calls `waiting` where another process has it."""
    with locked(root / ".lock", waiting):
        yield


def run_pipeline(
    pipeline: Pipeline, view: View | None = None, *, waiting: Callable[[], None] = lambda: None
) -> list[Ended]:
    """Runs what has to be run of a pipeline, or goes on with it.

    A node that fails or refuses stops those that need it, and no others.

    Args:
        pipeline: what there is to do.
        view: is told what happens.
        waiting: called where another run has the root; then this one waits for it.

    Returns:
        what became of each node, in the order of the pipeline.

    Raises:
        ConfigError: something to be imported is not there; nothing has run.
        SchemaError: a record of the lineage is damaged.
    """
    _check_imports(pipeline)
    with root_locked(pipeline.root, waiting):
        run = _Run(pipeline, view or Unwatched())
        try:
            for node in pipeline.nodes:
                run.do(node)
            run.conclude()
        finally:
            run.hashes.save()
    return list(run.ended.values())


def _check_imports(pipeline: Pipeline) -> None:
    for node in pipeline.nodes:
        for key, source in node.inputs.items():
            if source.path is not None and not source.path.exists():
                raise _nothing_at(source.path, node, key)


def _nothing_at(path: Path, node: Node, key: str) -> ConfigError:
    return ConfigError(
        f"node {node.name}, input {key}: found nothing at {path}, expected a file or folder. "
        "Correct the import; its path starts at the pipeline's file."
    )


class _Run:
    """One run, which has the root to itself."""

    def __init__(self, pipeline: Pipeline, view: View):
        # Absolute, because a worker's current folder is its own.
        self.pipeline, self.root, self.view = pipeline, pipeline.root.absolute(), view
        self.lineage = Lineage(self.root)
        self.lineage.require_readable()
        self.hashes = Hashes(self.root / MEMORY)
        self.versions = versions((*PACKAGES, "keras-tuner", "protobuf"))
        self.ended: dict[str, Ended] = {}
        for record in self.lineage.records:
            # Whoever began it had the root before and is gone.
            if record.state == PENDING:
                self.lineage.write(replace(record, state=ABANDONED, error="killed"))

    def do(self, node: Node) -> None:
        """Brings a node to its end."""
        bad = [name for name in node.needs if not self.ended[name].well]
        if bad:
            self._end(Ended(node.name, SKIPPED), f"{bad[0]} {self.ended[bad[0]].state}")
            return
        try:
            self.view.state(node.name, LOOKING)
            execution = self._resolve(node)
            made, state = self._look_up(execution), CACHED
            if made is None:
                self.view.state(node.name, RUNNING)
                made, state = self._run(node, execution), DONE
            self._end(Ended(node.name, REFUSED if made.refusal else state, made), made.refusal)
        except SerError as error:
            self._end(Ended(node.name, FAILED, error=error), str(error))
        except OSError as error:
            stopped = SerError(
                f"node {node.name}: stopped by {error.strerror or error} "
                f"({error.filename or 'no file'}). Nothing of it was published. Make room or mend "
                "the folder, and run the pipeline again."
            )
            self._end(Ended(node.name, FAILED, error=stopped), str(stopped))

    def conclude(self) -> None:
        """Writes down which execution is behind each node; a failed node keeps its last one."""
        before = self.lineage.latest(self.pipeline.name)
        made = {
            name: each.execution.execution_id
            for name, each in self.ended.items()
            if each.execution is not None
        }
        kept = {name: before[name] for name in self.ended if name in before}
        self.lineage.set_latest(self.pipeline.name, kept | made)

    def _end(self, ended: Ended, text: str) -> None:
        self.ended[ended.node] = ended
        self.view.state(ended.node, ended.state, text)

    def _resolve(self, node: Node) -> Execution:
        """Returns the execution that a node asks for, with its inputs and its key, unwritten."""
        component = node.component
        reads = {str(path): self.hashes.of(path) for path in component.files_read(node.parameters)}
        changing = {
            name: value
            for name, value in node.parameters.items()
            if component.spec.parameters[name].changes_result
        }
        code = code_sha256(COMPONENTS[component.spec.name])
        execution = Execution(
            execution_id=new_execution_id(),
            pipeline=self.pipeline.name,
            node=node.name,
            component=component.spec.name,
            state=PENDING,
            cache_key="",
            question="",
            started=now(),
            parameters=node.parameters,
            reads=reads,
            code_sha256=code,
            versions=self.versions,
        )
        about = {
            "component": component.spec.name,
            "parameters": changing,
            "reads": list(reads.values()),
            "code": code,
            "versions": self.versions,
        }
        inputs = self._inputs(node, "")
        question = digest(about | {"inputs": [(one.key, one.sha256) for one in inputs]})
        inputs = self._inputs(node, question)
        key = digest(about | {"inputs": [(one.key, one.sha256) for one in inputs]})
        return replace(execution, inputs=tuple(inputs), question=question, cache_key=key)

    def _inputs(self, node: Node, question: str) -> list[Input]:
        """Returns a node's inputs; those of an earlier run only where `question` is given."""
        found = []
        for key, source in sorted(node.inputs.items()):
            if source.path is not None:
                sha256 = self.hashes.of(source.path)
                if not sha256:
                    raise _nothing_at(source.path, node, key)
                found.append(Input(key, str(source.path.absolute()), sha256, ""))
                continue
            maker = self._before(source, question) if source.last else None
            if source.last and maker is None:
                continue
            maker = maker or self.ended[source.node].execution
            if maker is not None:
                output = maker.output(source.output)
                found.append(Input(key, output.uri, output.sha256, maker.execution_id))
        return found

    def _before(self, source: Source, question: str) -> Execution | None:
        """Returns the newest execution of a node that made something else than it makes now.

        What it makes now is known of another node; of the node itself, what it is asked.
        """
        if not question:
            return None
        ended = self.ended.get(source.node)
        made = ended.execution if ended is not None else None

        for record in reversed(self.lineage.live):
            same_node = (record.pipeline, record.node) == (self.pipeline.name, source.node)
            if not same_node or record.refusal or not record.makes(source.output):
                continue
            if made is None:
                other = record.question != question
            else:
                other = record.output(source.output).sha256 != made.output(source.output).sha256
            if other:
                return record
        return None

    def _look_up(self, execution: Execution) -> Execution | None:
        """Returns the live execution of the same key, if its files are as it left them."""
        for record in self.lineage.live:
            if record.cache_key != execution.cache_key:
                continue
            if self._is_whole(record):
                return record
            damaged = "its files were changed or removed"
            self.lineage.write(replace(record, state=ABANDONED, error=damaged))
        return None

    def _is_whole(self, record: Execution) -> bool:
        """Tells whether what an execution made is as it left it."""
        outside = record.facts.get("path")
        return (outside is None or Path(outside).is_dir()) and all(
            self.hashes.tree(self.lineage.path(output)) == output.files for output in record.outputs
        )

    def _run(self, node: Node, execution: Execution) -> Execution:
        """Runs a node and publishes what it made; returns the live record."""
        self.lineage.write(execution)
        attempt = self.root / ATTEMPTS / execution.cache_key[:16]
        spec = node.component.spec
        try:
            if not spec.resumes:
                shutil.rmtree(attempt, ignore_errors=True)
            folders = {key: attempt / key for key in spec.outputs}
            for folder in folders.values():
                folder.mkdir(parents=True, exist_ok=True)
            outcome = node.component.execute(
                Task(
                    {one.key: self.lineage.path(one) for one in execution.inputs},
                    folders,
                    node.parameters,
                    lambda what, done, total: self.view.progress(node.name, what, done, total),
                )
            )
            refuse_removed_speakers(self.lineage, outcome.facts)
            facts = dict(outcome.facts)
            if "path" in facts:
                facts["path"] = str(Path(facts["path"]).absolute())
            made = replace(execution, facts=facts, refusal=outcome.refusal)
            live = self._publish(node, made, folders)
        except BaseException as error:
            failed = replace(execution, state=ABANDONED, ended=now(), error=_sentence(error))
            # On a full disk it stays PENDING, and the next run finds that nobody is at it.
            with suppress(OSError):
                self.lineage.write(failed)
            if not spec.resumes:
                shutil.rmtree(attempt, ignore_errors=True)
            raise
        shutil.rmtree(attempt, ignore_errors=True)
        return live

    def _publish(self, node: Node, execution: Execution, folders: Mapping[str, Path]) -> Execution:
        """Moves the outputs to their places, hashes them, and writes the record that says LIVE."""
        outputs = []
        for key, folder in folders.items():
            place = self.root / node.name / key / execution.execution_id
            place.parent.mkdir(parents=True, exist_ok=True)
            sync_tree(folder)
            os.rename(folder, place)
            files = self.hashes.tree(place)
            uri = place.relative_to(self.root).as_posix()
            kind = node.component.spec.outputs[key]
            outputs.append(Output(key, kind, uri, digest(files), files))
        live = replace(execution, state=LIVE, ended=now(), outputs=tuple(outputs))
        self.lineage.write(live)
        return live


def _sentence(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
