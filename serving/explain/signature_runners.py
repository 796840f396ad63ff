"""Two ways to run the signatures of an export: in this process, or on a server."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from ser_keras.errors import ConfigError, ServingError
from serving.client.endpoint import Endpoint
from serving.explain.described_export import DescribedExport

if TYPE_CHECKING:
    from serving.client.client import SerClient

# Takes the name of a signature and its inputs, returns its outputs.
RunSignature = Callable[[str, Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]


@contextmanager
def local_signatures(export: DescribedExport) -> Iterator[RunSignature]:
    """Gives a function that runs the export's signatures in this process; loads TensorFlow.

    Raises:
        ConfigError: TensorFlow cannot load the export.
    """
    import tensorflow as tf

    from serving.export.signatures import is_not_gradient_warning

    logging.getLogger("absl").addFilter(is_not_gradient_warning)
    try:
        signatures = tf.saved_model.load(str(export.folder)).signatures
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ConfigError(
            f"--model {export.folder}: TensorFlow cannot load it ({error}). Copy it again, or "
            "export the model anew."
        ) from None

    def run(name: str, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        outputs = signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
        return {key: value.numpy() for key, value in outputs.items()}

    yield run


@contextmanager
def server_signatures(export: DescribedExport, endpoint: Endpoint) -> Iterator[RunSignature]:
    """Gives a function that runs the export's signatures on a server.

    Raises:
        ServingError: the server does not answer, or refuses.
    """
    from serving.client.connection import ServerError

    number = export.folder.name
    version = int(number) if number.isdecimal() else None
    with endpoint.client(export.about["name"], version) as client:
        try:
            yield client_signatures(client)
        except ServerError as error:
            raise ServingError(
                f"{error} To explain without a server, leave --server out."
            ) from None


def client_signatures(client: "SerClient") -> RunSignature:
    """Returns a function that runs the signatures of a client's model on its server."""
    return lambda signature, inputs: client.ask(inputs, signature)[0]
