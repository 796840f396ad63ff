"""A pipeline's file, checked: which components, wired how, with which parameters.

The file is YAML::

    name: nightly
    root: runs/nightly                   # where artifacts and lineage lie
    nodes:
      corpus:
        component: corpus_gen
        parameters: {corpus: emodb, data_dir: data/emodb}
      features:
        component: feature_gen
        inputs: {corpus: corpus}         # a node, or node.output where it has several
        parameters: {spec: logmel40}
      trainer:
        component: trainer
        inputs: {features: features}
        after: [validator]               # must have ended well; gives nothing

An input is also `{import: PATH}`, a file or folder from outside, or `{last: NODE}`, what that node
made the last time that it made something else and was not refused; nothing the first time.
PATH starts at the folder of the pipeline's file, where a schema lies beside it; root and the paths
among the parameters start at the current folder, as those of every command do.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from pipeline.components import get_component
from pipeline.components.contract import Component
from ser_keras.errors import ConfigError, unknown_name

_KEYS = ("name", "root", "nodes")
_NODE_KEYS = ("component", "inputs", "parameters", "after")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Source:
    """Where an input comes from: one of three.

    Args:
        node: str. A node, "" for a path.
        output: str. Which of the node's outputs.
        last: bool. What the node made before, not what it makes in this run.
        path: Path. A file or folder from outside.
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
        inputs: mapping of key to Source.
        parameters: mapping of name to value, complete.
        after: tuple of str. Nodes that must have ended well, though nothing is taken from them.
    """

    name: str
    component: Component
    inputs: Mapping[str, Source]
    parameters: Mapping[str, Any]
    after: tuple[str, ...] = ()

    @property
    def needs(self) -> tuple[str, ...]:
        """Nodes of the same run that must have ended well."""
        given = (source.node for source in self.inputs.values() if not source.last)
        return tuple(dict.fromkeys([*filter(None, given), *self.after]))


@dataclass(frozen=True)
class Pipeline:
    """A checked pipeline. Made by `load_pipeline`.

    Args:
        name: str.
        root: Path. Where artifacts and lineage lie.
        nodes: tuple of Node; each stands behind those that it needs.
    """

    name: str
    root: Path
    nodes: tuple[Node, ...]


def example_names() -> list[str]:
    """Returns the names of the pipelines that come with the project."""
    folder = resources.files("pipeline") / "examples"
    return sorted(
        file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml")
    )


def load_pipeline(file: str | Path, without: Iterable[str] = ()) -> Pipeline:
    """Reads a pipeline's file.

    Args:
        file: path of a YAML file, or name of a pipeline that comes with the project.
        without: names of nodes to leave out.

    Raises:
        ConfigError: no such file, no YAML, an unknown key, component, node, parameter, input or
            output, an input that is missing or of another kind, or a circle. Names the node.

    Example:
        >>> [node.name for node in load_pipeline("demo").nodes][:2]
        ['corpus', 'features']
    """
    path = _path(file)
    values = _read(path)
    where = str(file)
    _check_keys(values, _KEYS, where)
    for key in _KEYS:
        if key not in values:
            raise ConfigError(f"{where}: {key} is missing. Give {', '.join(_KEYS)}.")
    name, nodes = str(values["name"]), values["nodes"]
    if not isinstance(nodes, dict) or not nodes:
        raise ConfigError(f"{where}: found nodes: {nodes!r}, expected a name and what it does.")
    for each in (name, *nodes):
        if not isinstance(each, str) or not _NAME.fullmatch(each):
            raise ConfigError(
                f"{where}: found the name {each!r}, expected a letter, then letters, digits, "
                "- or _. It becomes the name of a folder."
            )
    read = {name: _node(name, given, where, path.parent) for name, given in nodes.items()}
    read = {name: _connected(node, read, where) for name, node in read.items()}
    read = _leave_out(read, set(without), where)
    return Pipeline(name, Path(values["root"]), tuple(read[each] for each in _order(read, where)))


def _path(file: str | Path) -> Path:
    path = Path(file)
    if path.suffix in (".yaml", ".yml"):
        return path
    if str(file) not in example_names():
        raise ConfigError(
            f"{unknown_name('pipeline', str(file), example_names())} Or give a .yaml file."
        )
    return Path(str(resources.files("pipeline") / "examples" / f"{file}.yaml"))


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: could not be read ({error.strerror}). Correct it.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not readable as YAML: {error}") from error
    return _mapping(values, str(path))


def _node(name: str, given: Any, file: str, folder: Path) -> Node:
    where = f"{file}, node {name}"
    values = _mapping(given, where)
    _check_keys(values, _NODE_KEYS, where)
    if "component" not in values:
        raise ConfigError(f"{where}: component is missing. Say what the node does.")
    try:
        component = get_component(str(values["component"]))
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    parameters = component.spec.resolve(_mapping(values.get("parameters") or {}, where), where)
    after = values.get("after") or []
    if not isinstance(after, list):
        raise ConfigError(f"{where}: found after: {after!r}, expected a list of nodes.")
    inputs = _mapping(values.get("inputs") or {}, where)
    for key in inputs:
        if key not in component.spec.inputs:
            kind = f"input of {component.spec.name}"
            raise ConfigError(f"{where}: {unknown_name(kind, str(key), component.spec.inputs)}")
    sources = {
        key: _source(value, f"{where}, input {key}", folder) for key, value in inputs.items()
    }
    return Node(name, component, sources, parameters, tuple(map(str, after)))


def _source(value: Any, where: str, folder: Path) -> Source:
    if isinstance(value, str):
        node, _, output = value.partition(".")
        return Source(node, output)
    if isinstance(value, dict) and len(value) == 1:
        (kind, text), *_ = value.items()
        if kind == "import" and isinstance(text, str):
            return Source(path=folder / text)
        if kind == "last" and isinstance(text, str):
            node, _, output = text.partition(".")
            return Source(node, output, last=True)
    raise ConfigError(
        f"{where}: found {value!r}, expected a node, node.output, {{import: PATH}} or "
        "{last: NODE}."
    )


def _connected(node: Node, nodes: Mapping[str, Node], file: str) -> Node:
    """Returns the node with every input's output named; checks names and kinds."""
    where = f"{file}, node {node.name}"
    spec = node.component.spec
    for other in node.after:
        if other not in nodes:
            raise ConfigError(f"{where}: {unknown_name('node', other, nodes)}")
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


def _choose_output(source: Source, nodes: Mapping[str, Node], kind: str, where: str) -> Source:
    if source.node not in nodes:
        raise ConfigError(f"{where}: {unknown_name('node', source.node, nodes)}")
    made = nodes[source.node].component.spec.outputs
    fitting = [source.output] if source.output else [key for key in made if made[key] == kind]
    if len(fitting) > 1:
        raise ConfigError(
            f"{where}: {source.node} makes {kind} as {' and '.join(fitting)}; say which, such as "
            f"{source.node}.{fitting[0]}."
        )
    if source.output and source.output not in made:
        raise ConfigError(f"{where}: {unknown_name('output', source.output, made)}")
    if not fitting or made[fitting[0]] != kind:
        found = made[source.output] if source.output else ", ".join(made.values())
        raise ConfigError(
            f"{where}: {source.node} makes {found}, expected {kind}. Connect another."
        )
    return replace(source, output=fitting[0])


def _leave_out(nodes: dict[str, Node], without: set[str], file: str) -> dict[str, Node]:
    """Returns the nodes without some of them, and without the inputs these would have given."""
    for name in without:
        if name not in nodes:
            raise ConfigError(f"--without: {unknown_name('node', name, nodes)}")
    kept = {}
    for name, node in nodes.items():
        if name in without:
            continue
        lost = [key for key, source in node.inputs.items() if source.node in without]
        needed = [key for key in lost if key not in node.component.spec.optional]
        if needed:
            raise ConfigError(
                f"{file}, node {name}: cannot do without {node.inputs[needed[0]].node}, its input "
                f"{needed[0]}. Leave out {name} as well."
            )
        kept[name] = replace(
            node,
            inputs={key: source for key, source in node.inputs.items() if key not in lost},
            after=tuple(other for other in node.after if other not in without),
        )
    return kept


def _order(nodes: Mapping[str, Node], file: str) -> list[str]:
    # What a node made before is known only when it is known what it makes now.
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


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: found {value!r}, expected a mapping of keys to values.")
    return value


def _check_keys(values: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in values:
        if key not in known:
            raise ConfigError(f"{where}: {unknown_name('key', str(key), known)}")
