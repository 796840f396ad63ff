"""The connections between a pipeline's nodes: outputs chosen, nodes left out, nodes sorted."""

from collections.abc import Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from pipeline.orchestration.definition import InputSource, Node
from ser_keras.errors import ConfigError, unknown_name


def connect_inputs(node: Node, nodes: Mapping[str, Node], file: str) -> Node:
    """Returns the node with the output of every input chosen.

    Args:
        node: as it stands in the file.
        nodes: all nodes of the file by name.
        file: str. What messages call the file.

    Raises:
        ConfigError: an unknown node or output, or an input that is missing or of another kind.
    """
    where = f"{file}, node {node.name}"
    spec = node.component.spec
    for name in node.after:
        if name not in nodes:
            raise ConfigError(f"{where}: {unknown_name('node', name, nodes)}")
    for key, kind in spec.inputs.items():
        if key not in node.inputs and key not in spec.optional:
            raise ConfigError(
                f"{where}: the input {key} is missing. Give it the node that makes {kind}."
            )
        if key in node.inputs and node.inputs[key].last and key not in spec.optional:
            raise ConfigError(
                f"{where}: found {{last: ...}} for the input {key}, which it cannot do without; "
                "the first time there is none. Give it a node of this run."
            )
    inputs = {
        key: source
        if source.path is not None
        else _choose_output(source, nodes, spec.inputs[key], f"{where}, input {key}")
        for key, source in node.inputs.items()
    }
    return replace(node, inputs=inputs)


def _choose_output(
    source: InputSource, nodes: Mapping[str, Node], kind: str, where: str
) -> InputSource:
    if source.node not in nodes:
        raise ConfigError(f"{where}: {unknown_name('node', source.node, nodes)}")
    outputs = nodes[source.node].component.spec.outputs
    of_kind = [key for key in outputs if outputs[key] == kind]
    fitting = [source.output] if source.output else of_kind
    if len(fitting) > 1:
        raise ConfigError(
            f"{where}: {source.node} makes {kind} as {' and '.join(fitting)}; say which, such as "
            f"{source.node}.{fitting[0]}."
        )
    if source.output and source.output not in outputs:
        raise ConfigError(f"{where}: {unknown_name('output', source.output, outputs)}")
    if not fitting or outputs[fitting[0]] != kind:
        kinds = outputs[source.output] if source.output else ", ".join(outputs.values())
        raise ConfigError(
            f"{where}: {source.node} makes {kinds}, expected {kind}. Connect another."
        )
    return replace(source, output=fitting[0])


def leave_out_nodes(nodes: dict[str, Node], without: set[str], file: str) -> dict[str, Node]:
    """Returns the nodes that are kept, without the inputs from those that are left out.

    Raises:
        ConfigError: an unknown name, or a kept node that needs one that is left out.
    """
    for name in without:
        if name not in nodes:
            raise ConfigError(f"--without: {unknown_name('node', name, nodes)}")
    kept = {}
    for name, node in nodes.items():
        if name in without:
            continue
        lost = [key for key, source in node.inputs.items() if source.node in without]
        required = [key for key in lost if key not in node.component.spec.optional]
        if required:
            raise ConfigError(
                f"{file}, node {name}: cannot do without {node.inputs[required[0]].node}, its "
                f"input {required[0]}. Leave out {name} as well."
            )
        kept[name] = replace(
            node,
            inputs={key: source for key, source in node.inputs.items() if key not in lost},
            after=tuple(needed for needed in node.after if needed not in without),
        )
    return kept


def sort_nodes(nodes: Mapping[str, Node], file: str) -> list[str]:
    """Returns the names of the nodes, each after those that it needs.

    Raises:
        ConfigError: the connections form a circle.
    """
    # A node's earlier output is the one that differs from its current one, so that comes first.
    earlier = {
        name: {source.node for source in node.inputs.values() if source.last} - {name}
        for name, node in nodes.items()
    }
    graph = {
        name: {**dict.fromkeys(node.needs), **dict.fromkeys(earlier[name])}
        for name, node in nodes.items()
    }
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise ConfigError(
            f"{file}: found a circle of nodes, {circle}, expected a way from first to last. Take "
            "one of these connections out."
        ) from None
