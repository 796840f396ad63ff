"""A checked pipeline as data: its nodes, their inputs and their parameters.

`pipeline.orchestration.pipeline_file.load_pipeline` makes one from a YAML file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.components.contract import Component


@dataclass(frozen=True)
class InputSource:
    """Where a node's input comes from: a node of this run, a node's last run, or a path.

    Args:
        node: str. Name of a node, "" for a path.
        output: str. Which of the node's outputs.
        last: bool. Takes the node's output of an earlier run, not that of this run.
        path: Path. A file or folder outside the pipeline.
    """

    node: str = ""
    output: str = ""
    last: bool = False
    path: Path | None = None


@dataclass(frozen=True)
class Node:
    """One step of a pipeline.

    Args:
        name: str.
        component: what it does.
        inputs: mapping of key to InputSource.
        parameters: mapping of name to value, complete.
        after: tuple of str. Nodes that must have succeeded, though nothing is taken from them.
    """

    name: str
    component: Component
    inputs: Mapping[str, InputSource]
    parameters: Mapping[str, Any]
    after: tuple[str, ...] = ()

    @property
    def needs(self) -> tuple[str, ...]:
        """Nodes of the same run that must have succeeded."""
        makers = (source.node for source in self.inputs.values() if not source.last)
        return tuple(dict.fromkeys([*filter(None, makers), *self.after]))


@dataclass(frozen=True)
class Pipeline:
    """A checked pipeline. Made by `load_pipeline`.

    Args:
        name: str.
        root: Path. Folder of the artifacts and their lineage.
        nodes: tuple of Node; each comes after those that it needs.
    """

    name: str
    root: Path
    nodes: tuple[Node, ...]
