"""A pipeline as a picture: nodes in layers, from what is given at the top to what is made below.

An edge that skips layers gets a place of its own in each of them, so that it runs between the
nodes and never through one.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from pipeline.orchestration.definition import Pipeline

SWEEPS = 24
# How much straighter an edge runs between nodes than next to one.
STRAIGHT = 8.0
# Half the width that a node, and an edge passing by, take of a layer.
NODE_HALF, EDGE_HALF = 0.6, 0.22

Point = tuple[float, float]
# A node by its name, or the place of an edge (from, to, layer) in a layer.
_Place = str | tuple[str, str, int]


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
        for other in node.after:
            labels.setdefault((other, node.name), "")
    points, ways = lay_out(list(boxes), list(labels))
    graph(
        {name: (points[name], about) for name, about in boxes.items()},
        [(ways[edge], label) for edge, label in labels.items()],
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
    """Returns where nodes lie and by which points edges go; x to the right, y (layers) down.

    Args:
        nodes: names.
        edges: (from, to), without a circle.

    Example:
        >>> points, ways = lay_out(["a", "b", "c"], [("a", "b"), ("b", "c"), ("a", "c")])
        >>> [points[name][1] for name in "abc"], len(ways["a", "c"])
        ([0.0, 1.0, 2.0], 3)
    """
    layer = _layers(nodes, edges)
    passed = {(one, two): range(layer[one] + 1, layer[two]) for one, two in edges}
    chains: dict[tuple[str, str], list[_Place]] = {
        (one, two): [one, *((one, two, y) for y in passed[one, two]), two] for one, two in edges
    }
    rows: list[list[_Place]] = [[] for _ in range(max(layer.values()) + 1)]
    for name in nodes:
        rows[layer[name]].append(name)
    for (one, two), between in passed.items():
        for y in between:
            rows[y].append((one, two, y))
    beside: dict[_Place, list[_Place]] = {place: [] for row in rows for place in row}
    for chain in chains.values():
        for near, far in pairwise(chain):
            beside[near].append(far)
            beside[far].append(near)
        for place in chain[1:-1]:
            beside[place] += [other for other in chain[1:-1] if other != place]
    x = _columns(rows, beside)
    points = {name: (x[name], float(layer[name])) for name in nodes}
    ways = {
        edge: [(x[place], float(layer[edge[0]] + step)) for step, place in enumerate(chain)]
        for edge, chain in chains.items()
    }
    return points, ways


def _layers(nodes: list[str], edges: list[tuple[str, str]]) -> dict[str, int]:
    """Returns each node's layer: the longest way to it; a source is just above who needs it."""
    layer = dict.fromkeys(nodes, 0)
    for _ in nodes:
        for one, two in edges:
            layer[two] = max(layer[two], layer[one] + 1)
    for name in nodes:
        below = [layer[two] for one, two in edges if one == name]
        if below and all(two != name for _, two in edges):
            layer[name] = min(below) - 1
    return layer


def _columns(
    rows: list[list[_Place]], beside: Mapping[_Place, list[_Place]]
) -> dict[_Place, float]:
    """Returns an x for every place, near those that it is connected with."""
    x: dict[_Place, float] = {}
    for row in rows:
        x.update(_apart({place: float(number) for number, place in enumerate(row)}))
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 else reversed(rows):
            x.update(_apart({place: _wanted(place, beside[place], x) for place in row}))
    return x


def _wanted(place: _Place, others: list[_Place], x: Mapping[_Place, float]) -> float:
    """Returns the middle of what a place is connected with; its own where that is nothing."""
    if not others:
        return x[place]
    bends = not isinstance(place, str)
    weights = [STRAIGHT if bends and not isinstance(other, str) else 1.0 for other in others]
    return sum(w * x[other] for w, other in zip(weights, others, strict=True)) / sum(weights)


def _apart(wanted: Mapping[_Place, float]) -> dict[_Place, float]:
    """Returns places near where they want to be, in that order, none over another."""
    order = sorted(wanted, key=lambda place: (wanted[place], str(place)))
    placed: dict[_Place, float] = {}
    edge = float("-inf")
    for place in order:
        half = NODE_HALF if isinstance(place, str) else EDGE_HALF
        placed[place] = max(wanted[place], edge + half)
        edge = placed[place] + half
    # Pushing went to the right alone; the row as a whole goes back to its middle.
    shift = sum(wanted[place] - placed[place] for place in order) / max(1, len(order))
    return {place: value + shift for place, value in placed.items()}
