"""Whether a new version can answer the requests that its predecessors answer."""

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from serving.server.batching import BatchingParameters
from serving.server.errors import RequestError
from serving.server.requests.memory import MemoryBudget
from serving.server.session import DEFAULT, LoadedModel


def load_compatible(
    folder: Path,
    batching: BatchingParameters | None,
    served: Sequence[LoadedModel],
    *,
    trust: bool = False,
    memory: MemoryBudget | None = None,
) -> LoadedModel:
    """Loads a version that can take over from those that are served.

    Args:
        folder: of the version.
        batching: as of `LoadedModel`.
        served: versions of the model that answer now.
        trust: as of `LoadedModel`.
        memory: as of `LoadedModel`.

    Raises:
        RequestError: it cannot be loaded, or answers other requests.
    """
    model = LoadedModel(folder, batching, trust=trust, memory=memory)
    try:
        _check_same_signature(model, served)
    except RequestError:
        model.close()
        raise
    return model


def _check_same_signature(model: LoadedModel, served: Sequence[LoadedModel]) -> None:
    """Refuses a version that cannot answer the requests that its predecessors answer.

    Raises:
        RequestError: the default signature takes other inputs, or lacks an output.
    """
    types = _named_types(model)
    for predecessor in served:
        expected = _named_types(predecessor)
        if types["inputs"] != expected["inputs"] or not expected["outputs"] <= types["outputs"]:
            raise RequestError.invalid(
                f"{model.folder}: {DEFAULT} takes {_list_types(types['inputs'])} and gives "
                f"{_list_types(types['outputs'])}, expected {_list_types(expected['inputs'])} and "
                f"{_list_types(expected['outputs'])} like the version that is served."
            )


def _named_types(model: LoadedModel) -> dict[str, set[tuple[str, int]]]:
    signature = model.signature(DEFAULT)
    sides = {"inputs": signature.inputs, "outputs": signature.outputs}
    return {
        side: {(name, tensor.dtype) for name, tensor in tensors.items()}
        for side, tensors in sides.items()
    }


def _list_types(types: set[tuple[str, int]]) -> str:
    return ", ".join(f"{name} ({tf.dtypes.as_dtype(kind).name})" for name, kind in sorted(types))
