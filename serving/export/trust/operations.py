"""The operations that an export may have: those of `operations.txt`, and the loader's own.

A list of what is refused would be out of date with the next TensorFlow, and TensorFlow's own mark
for operations with side effects is missing at `ReadFile`, `MatchingFiles` and
`InitializeTableFromTextFile`.
"""

from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path

from google.protobuf.message import DecodeError
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from ser_keras.errors import ConfigError
from serving.export.trust.graph import calls, inputs_of, node_of, reachable
from serving.export.trust.hashes import TRUST

LISTED = frozenset(
    name
    for line in resources.files(__package__).joinpath("operations.txt").read_text().splitlines()
    if not line.startswith("#")
    for name in line.split()
)
RESTORING = frozenset({"RestoreV2"})
# The loader never saves, so these are never run.
SAVING = frozenset({"MergeV2Checkpoints", "SaveV2", "ShardedFilename"})
MOST_NAMED = 8


def check_operations(folder: Path) -> None:
    """Checks that the graph of a version computes, and restores its own weights, and no more.

    Raises:
        ConfigError: it has other operations; names them.
    """
    foreign = foreign_operations(read_graph(folder))
    if foreign:
        more = f" and {len(foreign) - MOST_NAMED} more" if len(foreign) > MOST_NAMED else ""
        raise ConfigError(
            f"{folder}: found {', '.join(foreign[:MOST_NAMED])}{more} in the graph, expected only "
            "operations that compute, since others can read and write the files of this machine. "
            f"Take another model, {TRUST}."
        )


def read_graph(folder: Path) -> SavedModel:
    """Returns the content of a version's `saved_model.pb`.

    Raises:
        ConfigError: it cannot be read.
    """
    path = folder / "saved_model.pb"
    try:
        return SavedModel.FromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read as a SavedModel ({error}). Copy the model again, or export it "
            "anew."
        ) from None


def foreign_operations(saved: SavedModel) -> list[str]:
    """Returns the operations of a SavedModel that are not listed where they stand.

    Operations that restore and save are listed where the loader has them, and nowhere else.
    """
    return sorted({op for meta in saved.meta_graphs for op in _foreign(meta)})


def _foreign(meta: MetaGraphDef) -> Iterator[str]:
    graph = _Graph(meta)
    saver = meta.saver_def
    run = graph.below(_run_by_loader(meta))
    restored, saved = graph.below([saver.restore_op_name]), graph.below([saver.save_tensor_name])
    other = graph.everything - restored - saved
    restoring = RESTORING if graph.restores_own_weights() else frozenset()
    regions = [(run | other, LISTED), (restored, LISTED | restoring), (saved, LISTED | SAVING)]
    nodes = [(graph.nodes_of(names), listed) for names, listed in regions]
    # Of several nodes or functions of one name, a region has one.
    nodes.append((_all_nodes(meta), LISTED | RESTORING | SAVING))
    for region, listed in nodes:
        for node in region:
            if node.op not in listed and not graph.is_function(node.op):
                yield node.op


def _all_nodes(meta: MetaGraphDef) -> Iterator[NodeDef]:
    yield from meta.graph_def.node
    for function in meta.graph_def.library.function:
        yield from function.node_def


def _run_by_loader(meta: MetaGraphDef) -> Iterator[str]:
    """Yields the nodes that a request fetches, and those that initialise the model."""
    for signature in meta.signature_def.values():
        for tensor in (*signature.inputs.values(), *signature.outputs.values()):
            yield tensor.name
    for collection in meta.collection_def.values():
        yield from collection.node_list.value


class _Graph:
    """The nodes of a graph and its functions. A function has a name of its own, `()` before it.

    Args:
        meta: the graph.
    """

    def __init__(self, meta: MetaGraphDef):
        self.saver = meta.saver_def
        self.nodes = {node.name: node for node in meta.graph_def.node}
        self.functions = {f.signature.name: f for f in meta.graph_def.library.function}

    @property
    def everything(self) -> set[str]:
        """The names of all nodes and functions."""
        return {*self.nodes, *(f"(){name}" for name in self.functions)}

    def below(self, tensors: Iterable[str]) -> set[str]:
        """Returns the nodes and functions that run before some tensors have values."""
        starts = [node_of(tensor) for tensor in tensors]
        names = reachable(starts, lambda name: inputs_of(self.nodes.get(name))) & set(self.nodes)
        called = calls((self.nodes[name] for name in names), self.functions)
        inner = reachable(called, lambda name: calls(self.functions[name].node_def, self.functions))
        return {*names, *(f"(){name}" for name in inner)}

    def nodes_of(self, names: Iterable[str]) -> Iterator[NodeDef]:
        """Yields nodes, and the nodes inside of functions."""
        for name in names:
            if name.startswith("()"):
                yield from self.functions[name.removeprefix("()")].node_def
            else:
                yield self.nodes[name]

    def is_function(self, operation: str) -> bool:
        """Tells whether a node calls a function by its operation, which no operation shadows."""
        return operation.startswith("__") and operation in self.functions

    def restores_own_weights(self) -> bool:
        """Tells whether weights are read from the file that the loader names, and no other."""
        restore = self.nodes.get(node_of(self.saver.restore_op_name))
        if restore is None or not restore.input:
            return False
        function = self.functions.get(restore.attr["f"].func.name)
        if function is None or not function.signature.input_arg:
            return False
        names_file = node_of(restore.input[0]) == node_of(self.saver.filename_tensor_name)
        argument = function.signature.input_arg[0].name
        reads = [node for node in self.nodes_of(self.below([restore.name])) if node.op in RESTORING]
        own = [node for node in function.node_def if node.op in RESTORING]
        return names_file and len(own) == len(reads) and all(n.input[0] == argument for n in own)
