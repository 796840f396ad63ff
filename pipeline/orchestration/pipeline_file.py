"""A pipeline's YAML file, read and checked.

The file looks like this::

    name: nightly
    root: runs/nightly                   # folder of the artifacts and their lineage
    nodes:
      corpus:
        component: corpus_gen
        parameters: {corpus: emodb, data_dir: data/emodb}
      features:
        component: feature_gen
        inputs: {corpus: corpus}         # a node, or node.output if it has several
        parameters: {spec: logmel40}
      trainer:
        component: trainer
        inputs: {features: features}
        after: [validator]               # must have succeeded; nothing is taken from it

An input can also be `{import: PATH}`, a file or folder outside the pipeline, or `{last: NODE}`, the
newest accepted output of that node from an earlier run that differs from its current one; there is
none in the first run. An imported PATH is relative to the folder of the pipeline's file, so that a
schema can lie beside it. The root and the paths among the parameters are relative to the current
folder, as in every command.
"""

import re
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pipeline.components import get_component
from pipeline.orchestration.definition import InputSource, Node, Pipeline
from pipeline.orchestration.wiring import connect_inputs, leave_out_nodes, sort_nodes
from ser_keras.errors import ConfigError, unknown_name
from ser_keras.files import parse_yaml

_KEYS = ("name", "root", "nodes")
_NODE_KEYS = ("component", "inputs", "parameters", "after")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def example_names() -> list[str]:
    """Returns the names of the pipelines that come with the project."""
    folder = resources.files("pipeline") / "examples"
    return sorted(
        file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml")
    )


def load_pipeline(file: str | Path, without: Iterable[str] = ()) -> Pipeline:
    """Reads and checks a pipeline's file.

    Args:
        file: path of a YAML file, or name of a pipeline that comes with the project.
        without: names of nodes to leave out.

    Raises:
        ConfigError: no such file, no YAML, an unknown key, component, node, parameter, input or
            output, an input that is missing or of another kind, or a circle. It names the node.

    Example:
        >>> [node.name for node in load_pipeline("demo").nodes][:2]
        ['corpus', 'features']
    """
    path = _path(file)
    values = _read_yaml(path)
    where = str(file)
    _check_keys(values, _KEYS, where)
    for key in _KEYS:
        if key not in values:
            raise ConfigError(f"{where}: {key} is missing. Give {', '.join(_KEYS)}.")
    name, node_values = str(values["name"]), values["nodes"]
    if not isinstance(node_values, dict) or not node_values:
        raise ConfigError(
            f"{where}: found nodes: {node_values!r}, expected a name and what it does."
        )
    _check_names((name, *node_values), where)
    nodes = {key: _parse_node(key, value, where, path.parent) for key, value in node_values.items()}
    nodes = {key: connect_inputs(node, nodes, where) for key, node in nodes.items()}
    nodes = leave_out_nodes(nodes, set(without), where)
    return Pipeline(
        name, Path(values["root"]), tuple(nodes[key] for key in sort_nodes(nodes, where))
    )


def _check_names(names: Iterable[Any], where: str) -> None:
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigError(
                f"{where}: found the name {name!r}, expected a letter, then letters, digits, "
                "- or _. It becomes the name of a folder."
            )


def _path(file: str | Path) -> Path:
    path = Path(file)
    if path.suffix in (".yaml", ".yml"):
        return path
    if str(file) not in example_names():
        raise ConfigError(
            f"{unknown_name('pipeline', str(file), example_names())} Or give a .yaml file."
        )
    return Path(str(resources.files("pipeline") / "examples" / f"{file}.yaml"))


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: could not be read ({error.strerror}). Correct it.") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not readable as YAML: {error}") from error
    return _mapping(values, str(path))


def _parse_node(name: str, value: Any, file: str, folder: Path) -> Node:
    where = f"{file}, node {name}"
    values = _mapping(value, where)
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
        key: _parse_source(value, f"{where}, input {key}", folder) for key, value in inputs.items()
    }
    return Node(name, component, sources, parameters, tuple(map(str, after)))


def _parse_source(value: Any, where: str, folder: Path) -> InputSource:
    if isinstance(value, str):
        node, _, output = value.partition(".")
        return InputSource(node, output)
    if isinstance(value, dict) and len(value) == 1:
        (kind, text), *_ = value.items()
        if kind == "import" and isinstance(text, str):
            return InputSource(path=folder / text)
        if kind == "last" and isinstance(text, str):
            node, _, output = text.partition(".")
            return InputSource(node, output, last=True)
    raise ConfigError(
        f"{where}: found {value!r}, expected a node, node.output, {{import: PATH}} or "
        "{last: NODE}."
    )


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: found {value!r}, expected a mapping of keys to values.")
    return value


def _check_keys(values: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in values:
        if key not in known:
            raise ConfigError(f"{where}: {unknown_name('key', str(key), known)}")
