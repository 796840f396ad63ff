"""Two ways to run the signatures of an export: in this process, or on a server."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import numpy as np

from ser_keras.errors import ConfigError, ServingError
from serving.client.endpoint import Endpoint
from serving.explain.described_export import DescribedExport
from serving.export.layout import version_number

if TYPE_CHECKING:
    from serving.client.speech_client import SpeechClient

# Takes the name of a signature and its inputs, returns its outputs.
RunSignature = Callable[[str, Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]


def signatures_of(
    export: DescribedExport, endpoint: Endpoint | None, *, trust: bool = False
) -> AbstractContextManager[RunSignature]:
    """Returns the signatures of an export on a server; None for the endpoint runs them here."""
    if endpoint is not None:
        return server_signatures(export, endpoint)
    return local_signatures(export, trust=trust)


@contextmanager
def local_signatures(export: DescribedExport, *, trust: bool = False) -> Iterator[RunSignature]:
    """Gives a function that runs the export's signatures in this process; loads TensorFlow.

    Args:
        export: what is loaded.
        trust: as of `LocalClient`.

    Raises:
        ConfigError: the export is not to be trusted, TensorFlow cannot load it, or it refuses.
    """
    from serving.client.connection import ServerError
    from serving.explain.local_client import LocalClient

    with LocalClient(export, ("explain", "front_end"), trust=trust) as client:
        try:
            yield client_signatures(client)
        except ServerError as error:
            raise ConfigError(f"--model {export.folder}: {error} Export the model anew.") from None


@contextmanager
def server_signatures(export: DescribedExport, endpoint: Endpoint) -> Iterator[RunSignature]:
    """Gives a function that runs the export's signatures on a server.

    Raises:
        ServingError: the server does not answer, or refuses.
    """
    from serving.client.connection import ServerError

    version = version_number(export.folder.name)
    with endpoint.client(export.about["name"], version) as client:
        try:
            yield client_signatures(client)
        except ServerError as error:
            raise ServingError(
                f"{error} To explain without a server, leave --server out."
            ) from None


def client_signatures(client: "SpeechClient") -> RunSignature:
    """Returns a function that runs the signatures of a client's model."""
    return lambda signature, inputs: client.ask(inputs, signature)[0]
