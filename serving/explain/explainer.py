"""Explanations for a page: made by a process of its own, since they need Keras."""

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock

import numpy as np

from ser_keras.errors import SerError, ServingError
from ser_keras.plots.explanation import Explanation
from serving.client.connection import ServerError
from serving.client.endpoint import Endpoint
from serving.explain.own_process import own_process


class Explainer:
    """Asks for the maps of models and their place in the recording, see `serving.explain.explain`.

    Args:
        pipe: to the process that does it; made by `explainer`.
    """

    def __init__(self, pipe: Connection):
        self._pipe = pipe
        self._turn = Lock()

    def explain(
        self, model: str, folder: Path, waveform: np.ndarray, start_s: float
    ) -> Explanation:
        """Returns what a model made of a waveform.

        Args:
            model: its name on the server.
            folder: of its export's version, which says what the model's frames are.
            waveform: float32 (samples,) at the model's rate.
            start_s: float. Where in the recording it begins.

        Raises:
            SerError: the model shows nothing, the server refused, or the process died.
        """
        with self._turn:
            try:
                self._pipe.send((model, folder, waveform, start_s))
                said = self._pipe.recv()
            except (EOFError, OSError):
                raise ServingError(
                    "the process that explains has died, as happens when memory is short. Start "
                    "the page again."
                ) from None
        if isinstance(said, Exception):
            raise said
        heard: Explanation = said
        return heard


@contextmanager
def explainer(endpoint: Endpoint) -> Iterator[Explainer]:
    """Gives an Explainer of the models of a server; loads Keras while others go on."""
    with own_process(_answer, endpoint) as pipe:
        yield Explainer(pipe)


def _answer(pipe: Connection, endpoint: Endpoint) -> None:
    """The other process: explains until the pipe ends."""
    from serving.explain.explain import ask_of, explain, open_export

    while True:
        model, folder, waveform, start_s = pipe.recv()
        try:
            with endpoint.client(model) as client:
                export, ask = open_export(folder), ask_of(client)
                pipe.send(explain(export, ask, waveform, source=model, start_s=start_s))
        except SerError as error:
            pipe.send(error)
        except ServerError as error:
            pipe.send(ServingError(str(error)))
