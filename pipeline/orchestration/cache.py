"""Decides what a node's execution depends on, and finds an earlier execution of the same key.

The cache key is a hash of the component, its code, its parameters, the files that it reads, the
versions of the libraries and the content of its inputs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.components import COMPONENTS
from pipeline.lineage.records import ABANDONED, PENDING, Execution, Input, new_execution_id, now
from pipeline.lineage.store import Lineage
from pipeline.orchestration.code_hash import code_sha256
from pipeline.orchestration.definition import InputSource, Node
from pipeline.orchestration.node_result import NodeResult
from pipeline.publishing.file_hashes import MEMORY, Hashes, digest
from ser_keras.errors import ConfigError
from ser_keras.experiments.provenance import PACKAGES, versions


class ExecutionCache:
    """Plans the executions of a pipeline's nodes and looks them up among the earlier ones.

    Args:
        pipeline: str. Name of the pipeline.
        lineage: the records of its root.
    """

    def __init__(self, pipeline: str, lineage: Lineage):
        self.pipeline = pipeline
        self.lineage = lineage
        self.hashes = Hashes(lineage.root / MEMORY)
        self.versions = versions((*PACKAGES, "keras-tuner", "protobuf"))

    def plan(self, node: Node, results: Mapping[str, NodeResult]) -> Execution:
        """Returns the execution that a node needs, with its inputs and its key, unwritten.

        Args:
            node: what is to be executed.
            results: those of the nodes before it in this run.

        Raises:
            ConfigError: an import is not there.
        """
        execution_id, started = new_execution_id(), now()
        component = node.component
        reads = {str(path): self.hashes.of(path) for path in component.files_read(node.parameters)}
        inputs = self._inputs(node, results, "")
        dependencies: dict[str, Any] = {
            "component": component.spec.name,
            "parameters": {
                name: value
                for name, value in node.parameters.items()
                if component.spec.parameters[name].changes_result
            },
            "reads": list(reads.values()),
            "code": code_sha256(
                COMPONENTS[component.spec.name],
                component.lookups(
                    node.parameters, {item.key: self.lineage.path(item) for item in inputs}
                ),
            ),
            "versions": self.versions,
        }
        key_without_history = _cache_key(dependencies, inputs)
        inputs = self._inputs(node, results, key_without_history)
        return Execution(
            execution_id=execution_id,
            pipeline=self.pipeline,
            node=node.name,
            component=component.spec.name,
            state=PENDING,
            cache_key=_cache_key(dependencies, inputs),
            cache_key_without_history=key_without_history,
            started=started,
            inputs=tuple(inputs),
            parameters=node.parameters,
            reads=reads,
            code_sha256=dependencies["code"],
            versions=self.versions,
        )

    def find(self, execution: Execution) -> Execution | None:
        """Returns the live execution of the same key if its files are unchanged.

        A live execution whose files were changed is marked as abandoned.
        """
        for record in self.lineage.live:
            if record.cache_key != execution.cache_key:
                continue
            if self._is_intact(record):
                return record
            damaged = "its files were changed or removed"
            self.lineage.write(replace(record, state=ABANDONED, error=damaged))
        return None

    def _is_intact(self, record: Execution) -> bool:
        """Tells whether an execution's artifacts are as it left them."""
        outside = record.facts.get("path")
        return (outside is None or Path(outside).is_dir()) and all(
            self.hashes.tree(self.lineage.path(output)) == output.files for output in record.outputs
        )

    def _inputs(
        self, node: Node, results: Mapping[str, NodeResult], key_without_history: str
    ) -> list[Input]:
        """Returns a node's inputs, without those of earlier runs while the key is empty."""
        inputs = []
        for key, source in sorted(node.inputs.items()):
            if source.path is not None:
                sha256 = self.hashes.of(source.path)
                if not sha256:
                    raise missing_import(source.path, node, key)
                inputs.append(Input(key, str(source.path.absolute()), sha256, ""))
                continue
            if source.last:
                maker = self._earlier_execution(source, results, key_without_history)
            else:
                maker = results[source.node].execution
            if maker is not None:
                output = maker.output(source.output)
                inputs.append(Input(key, output.uri, output.sha256, maker.execution_id))
        return inputs

    def _earlier_execution(
        self, source: InputSource, results: Mapping[str, NodeResult], key_without_history: str
    ) -> Execution | None:
        """Returns the newest accepted execution of a node whose output differs from the current.

        For another node of this run, the outputs are compared. For the node itself, whose output
        does not exist yet, the keys without history are compared.
        """
        if not key_without_history:
            return None
        result = results.get(source.node)
        current = result.execution if result is not None else None
        for record in reversed(self.lineage.live):
            same_node = (record.pipeline, record.node) == (self.pipeline, source.node)
            if not same_node or record.refusal or not record.makes(source.output):
                continue
            if current is None:
                differs = record.cache_key_without_history != key_without_history
            else:
                output = current.output(source.output)
                differs = record.output(source.output).sha256 != output.sha256
            if differs:
                return record
        return None


def missing_import(path: Path, node: Node, key: str) -> ConfigError:
    """Returns the error for an imported file or folder that is not there."""
    return ConfigError(
        f"node {node.name}, input {key}: found nothing at {path}, expected a file or folder. "
        "Correct the import; its path starts at the pipeline's file."
    )


def _cache_key(dependencies: Mapping[str, Any], inputs: Sequence[Input]) -> str:
    return digest({**dependencies, "inputs": [(item.key, item.sha256) for item in inputs]})
