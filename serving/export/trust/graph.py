"""What leads to what in the graph of a SavedModel."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tensorflow.core.framework.node_def_pb2 import NodeDef


def node_of(tensor: str) -> str:
    """Returns the name of the node that gives a tensor, or that an input waits for."""
    return tensor.split(":")[0].lstrip("^")


def inputs_of(node: NodeDef | None) -> Iterator[str]:
    """Yields the names of the nodes that a node waits for."""
    for name in node.input if node is not None else ():
        yield node_of(name)


def calls(nodes: Iterable[NodeDef], functions: Mapping[str, Any]) -> Iterator[str]:
    """Yields the names of the functions that nodes call."""
    for node in nodes:
        if node.op in functions:
            yield node.op
        for attribute in node.attr.values():
            for function in (attribute.func, *attribute.list.func):
                if function.name in functions:
                    yield function.name


def reachable(starts: Iterable[str], following: Callable[[str], Iterable[str]]) -> set[str]:
    """Returns all names that lead on from `starts`, with these."""
    seen: set[str] = set()
    waiting = list(starts)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += following(name)
    return seen
