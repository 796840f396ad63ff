"""Draws a pipeline as a graph: nodes in layers, from its sources at the top to its results.

An edge that skips layers gets a waypoint in each of them, so that it runs between the nodes and
never through one.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from pipeline.orchestration.definition import Pipeline

SWEEPS = 24
# Weight of keeping an edge straight from waypoint to waypoint.
STRAIGHTNESS = 8.0
# Half the width that a node, or an edge between nodes, takes in a layer.
NODE_HALF_WIDTH, EDGE_HALF_WIDTH = 0.6, 0.22

Point = tuple[float, float]
# An item of a layer: a node by its name, or the waypoint (from, to, layer) of an edge.
_Item = str | tuple[str, str, int]


def draw_graph(pipeline: Pipeline, path: Path) -> None:
    """Draws the pipeline: boxes with node and component, arrows with the kind of artifact.

    Args:
        pipeline: what to draw.
        path: Path. `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    from ser_keras.plots import graph

    labels: dict[tuple[str, str], str] = {}
    boxes = {node.name: node.component.spec.name for node in pipeline.nodes}
    for node in pipeline.nodes:
        for key, source in node.inputs.items():
            kind = node.component.spec.inputs[key]
            if source.path is not None:
                boxes[source.path.name] = "from outside"
                labels[source.path.name, node.name] = kind
            elif not source.last:
                labels[source.node, node.name] = kind
        for needed in node.after:
            labels.setdefault((needed, node.name), "")
    points, paths = lay_out(list(boxes), list(labels))
    graph(
        {name: (points[name], about) for name, about in boxes.items()},
        [(paths[edge], label) for edge, label in labels.items()],
        {
            node.name: ", ".join(
                f"{key}: last {source.node}" for key, source in node.inputs.items() if source.last
            )
            for node in pipeline.nodes
        },
        pipeline.name,
        path,
    )


def lay_out(
    nodes: list[str], edges: list[tuple[str, str]]
) -> tuple[dict[str, Point], dict[tuple[str, str], list[Point]]]:
    """Returns the points of the nodes and the paths of the edges; x to the right, y (layers) down.

    Args:
        nodes: names.
        edges: (from, to), without a circle.

    Example:
        >>> points, paths = lay_out(["a", "b", "c"], [("a", "b"), ("b", "c"), ("a", "c")])
        >>> [points[name][1] for name in "abc"], len(paths["a", "c"])
        ([0.0, 1.0, 2.0], 3)
    """
    layer = _layers(nodes, edges)
    chains: dict[tuple[str, str], list[_Item]] = {
        (start, end): [start, *((start, end, y) for y in range(layer[start] + 1, layer[end])), end]
        for start, end in edges
    }
    rows: list[list[_Item]] = [[] for _ in range(max(layer.values()) + 1)]
    for name in nodes:
        rows[layer[name]].append(name)
    for (start, _), chain in chains.items():
        for y, waypoint in enumerate(chain[1:-1], layer[start] + 1):
            rows[y].append(waypoint)
    x = _columns(rows, _neighbours(rows, list(chains.values())))
    points = {name: (x[name], float(layer[name])) for name in nodes}
    paths = {
        edge: [(x[item], float(layer[edge[0]] + step)) for step, item in enumerate(chain)]
        for edge, chain in chains.items()
    }
    return points, paths


def _layers(nodes: list[str], edges: list[tuple[str, str]]) -> dict[str, int]:
    """Returns each node's layer: its longest path from a source; sources lie above targets."""
    layer = dict.fromkeys(nodes, 0)
    for _ in nodes:
        for start, end in edges:
            layer[end] = max(layer[end], layer[start] + 1)
    for name in nodes:
        below = [layer[end] for start, end in edges if start == name]
        if below and all(end != name for _, end in edges):
            layer[name] = min(below) - 1
    return layer


def _neighbours(rows: list[list[_Item]], chains: list[list[_Item]]) -> dict[_Item, list[_Item]]:
    """Returns the items that each item should lie near, some of them several times."""
    neighbours: dict[_Item, list[_Item]] = {item: [] for row in rows for item in row}
    for chain in chains:
        for upper, lower in pairwise(chain):
            neighbours[upper].append(lower)
            neighbours[lower].append(upper)
        waypoints = chain[1:-1]
        for waypoint in waypoints:
            neighbours[waypoint] += [item for item in waypoints if item != waypoint]
    return neighbours


def _columns(
    rows: list[list[_Item]], neighbours: Mapping[_Item, list[_Item]]
) -> dict[_Item, float]:
    """Returns an x for every item, near the items that it is connected with."""
    x: dict[_Item, float] = {}
    for row in rows:
        x.update(_spread({item: float(number) for number, item in enumerate(row)}))
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 else reversed(rows):
            x.update(_spread({item: _mean_x(item, neighbours[item], x) for item in row}))
    return x


def _mean_x(item: _Item, neighbours: list[_Item], x: Mapping[_Item, float]) -> float:
    """Returns the weighted mean of the neighbours' x, the item's own x if it has none."""
    if not neighbours:
        return x[item]
    is_waypoint = not isinstance(item, str)
    weights = [
        STRAIGHTNESS if is_waypoint and not isinstance(neighbour, str) else 1.0
        for neighbour in neighbours
    ]
    weighted = [w * x[neighbour] for w, neighbour in zip(weights, neighbours, strict=True)]
    return sum(weighted) / sum(weights)


def _spread(wanted: Mapping[_Item, float]) -> dict[_Item, float]:
    """Returns an x for each item near the wanted one, in the same order and without overlap."""
    order = sorted(wanted, key=lambda item: (wanted[item], str(item)))
    x: dict[_Item, float] = {}
    right_end = float("-inf")
    for item in order:
        half_width = NODE_HALF_WIDTH if isinstance(item, str) else EDGE_HALF_WIDTH
        x[item] = max(wanted[item], right_end + half_width)
        right_end = x[item] + half_width
    # Items were pushed only to the right, so the row is moved back to its middle.
    shift = sum(wanted[item] - x[item] for item in order) / max(1, len(order))
    return {item: value + shift for item, value in x.items()}
