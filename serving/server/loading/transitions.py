"""Whether a running server may go over to another configuration, as TensorFlow Serving says."""

from collections.abc import Callable, Mapping, Sequence

import grpc

from serving.server.config_files import ModelEntry
from serving.server.errors import RequestError


def check_transition(
    before: Mapping[str, ModelEntry],
    after: Sequence[ModelEntry],
    is_available: Callable[[str, int], bool],
    *,
    labels_in_advance: bool,
) -> None:
    """Refuses a configuration that the container would refuse, or would wait for without an end.

    Args:
        before: the models of now, by name.
        after: the models that are asked for.
        is_available: tells whether a version of a model answers now.
        labels_in_advance: bool. Whether a label that is new may name a version that is not there
            yet, as with `--allow_version_labels_for_unavailable_models`.

    Raises:
        RequestError: a new model has no folder, or a label names a version that does not answer.
    """
    for model in after:
        known = before.get(model.name)
        labels = known.labels if known is not None else {}
        # What is served already goes on without its folder.
        moves = known is None or known.base_path != model.base_path
        if moves and not model.base_path.is_dir():
            raise RequestError.invalid(
                f"Could not find base path {model.base_path} for servable {model.name}"
            )
        for label, version in model.labels.items():
            is_new = labels.get(label, version) == version
            if not is_available(model.name, version) and not (labels_in_advance and is_new):
                raise RequestError.failed_precondition(
                    f"Request to assign label to version {version} of model {model.name}, which is "
                    "not currently available for inference"
                )


def not_available(problems: Mapping[str, str]) -> RequestError:
    """Returns the error for new models of which no version can answer.

    Args:
        problems: why, by name of the model.
    """
    listed = ", ".join(f"{{name: {name}}} due to error: {why}" for name, why in problems.items())
    return RequestError(
        grpc.StatusCode.UNKNOWN, f"{len(problems)} model(s) did not become available: {listed}"
    )
