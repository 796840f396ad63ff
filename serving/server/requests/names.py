"""The names of inputs and outputs in a request, against those of its signature."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from serving.server.errors import RequestError
from serving.server.requests.text import shown

MAX_LISTED = 50


def check_inputs(signature: Any, inputs: Collection[str]) -> None:
    """Refuses another number of inputs, or other names, in TensorFlow Serving's words.

    Args:
        signature: SignatureDef.
        inputs: names of the inputs in a request.

    Raises:
        RequestError: says which are too many or missing.
    """
    expected, received = set(signature.inputs), set(inputs)
    if len(received) != len(expected):
        raise RequestError.invalid(
            f"input size does not match signature: {len(received)}!={len(expected)} "
            f"len({_listed(received)}) != len({_listed(expected)}). "
            f"Sent extra: {_listed(received - expected)}. "
            f"Missing but required: {_listed(expected - received)}."
        )
    if received != expected:
        name = shown(min(received - expected))
        raise RequestError.invalid(
            f"input tensor alias not found in signature: {name}. Inputs expected to be in the set "
            f"{_listed(expected)}."
        )


def checked_outputs(signature: Any, requested: Sequence[str]) -> list[str]:
    """Returns the names of the requested outputs, of all where none is requested.

    Args:
        signature: SignatureDef.
        requested: names of outputs in a request.

    Raises:
        RequestError: one is unknown or named twice.
    """
    known = sorted(signature.outputs)
    for number, name in enumerate(requested):
        if name not in signature.outputs:
            raise RequestError.invalid(
                f"output tensor alias not found in signature: {shown(name)} Outputs expected to "
                f"be in the set {_listed(known)}."
            )
        if name in requested[:number]:
            raise RequestError.invalid(f"duplicate output tensor alias: {name}")
    return list(requested) or known


def _listed(names: Iterable[str]) -> str:
    """Returns names in order, the first of them where a client sent thousands."""
    return "{" + ",".join(map(shown, sorted(names)[:MAX_LISTED])) + "}"
