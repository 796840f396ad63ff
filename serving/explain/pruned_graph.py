"""Loads some signatures of a SavedModel alone, in a third of the time of all of them."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef
from tensorflow.python.saved_model.loader_impl import SavedModelLoader

from serving.export.trust.graph import calls, inputs_of, node_of, reachable
from serving.server.session import SERVE


def load_pruned(session: tf.compat.v1.Session, folder: Path, names: Collection[str]) -> Any:
    """Loads the signatures called `names` into a session, and returns their meta graph.

    What only other signatures need is neither imported nor optimised.

    Args:
        session: with a graph of its own.
        folder: of a version.
        names: of signatures that the version has.
    """
    loader = SavedModelLoader(str(folder))
    prune(loader.get_meta_graph_def_from_tags([SERVE]), names)
    return loader.load(session, [SERVE])


def signature_names(folder: Path) -> frozenset[str]:
    """Returns the names of all signatures of a version."""
    meta = SavedModelLoader(str(folder)).get_meta_graph_def_from_tags([SERVE])
    return frozenset(name for name in meta.signature_def if not name.startswith("__"))


def prune(meta: MetaGraphDef, names: Collection[str]) -> None:
    """Removes all signatures but some, and all nodes and functions that these do not need.

    Args:
        meta: changed in place.
        names: of the signatures that stay.
    """
    for name in set(meta.signature_def) - set(names):
        # Those with two underscores initialise the model.
        if not name.startswith("__"):
            del meta.signature_def[name]
    graph = meta.graph_def
    nodes = {node.name: node for node in graph.node}
    kept_nodes = reachable(_ends(meta), lambda name: inputs_of(nodes.get(name)))
    functions = {function.signature.name: function for function in graph.library.function}
    called = set(calls((nodes[name] for name in kept_nodes if name in nodes), functions))
    kept = reachable(called, lambda name: calls(functions[name].node_def, functions))
    _keep(graph.node, lambda node: node.name in kept_nodes)
    _keep(graph.library.function, lambda function: function.signature.name in kept)
    _keep(graph.library.gradient, lambda gradient: gradient.function_name in kept)


def _ends(meta: MetaGraphDef) -> set[str]:
    """Returns the nodes that are fed or fetched: by the signatures, and to restore the weights."""
    tensors = [
        tensor.name
        for signature in meta.signature_def.values()
        for tensor in (*signature.inputs.values(), *signature.outputs.values())
    ]
    saver = meta.saver_def
    tensors += [saver.restore_op_name, saver.filename_tensor_name, saver.save_tensor_name]
    return {node_of(tensor) for tensor in tensors if tensor}


def _keep(field: Any, chosen: Callable[[Any], bool]) -> None:
    """Leaves the chosen values of a repeated field."""
    values = [value for value in field if chosen(value)]
    del field[:]
    field.extend(values)
