"""A client of an export in this process: no server, and the same answers."""

import logging
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Self

import numpy as np

from ser_keras.errors import ConfigError
from serving.client.connection import ServerError
from serving.client.speech_client import SpeechClient
from serving.explain.described_export import DescribedExport
from serving.explain.without_keras import import_tensorflow
from serving.export.layout import version_number

if TYPE_CHECKING:
    from serving.server.session import LoadedModel


class LocalClient(SpeechClient):
    """Asks an export that is loaded into this process; a context that frees it. Loads TensorFlow.

    Args:
        export: what is loaded.
        first: names of the signatures that are loaded at once; the others once one is asked for.
        trust: bool. Load it even if `ser export` did not make it, see `serving.export.trust`.

    Raises:
        ConfigError: the export is not to be trusted, or TensorFlow cannot load it.
    """

    def __init__(
        self,
        export: DescribedExport,
        first: Collection[str] = ("serving_default",),
        *,
        trust: bool = False,
    ):
        import_tensorflow()
        import tensorflow as tf

        # It says that sessions are deprecated for training; this one only predicts.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        from serving.explain.pruned_graph import load_pruned, signature_names
        from serving.export.trust.check import check_export
        from serving.server.errors import RequestError
        from serving.server.session import LoadedModel

        self.endpoint, self.model = "this process", str(export.about["name"])
        self.sample_rate_hz: int = export.about["sample_rate_hz"]
        self._folder, self._trust = export.folder, trust
        self._version = version_number(export.folder.name) or 0
        self._whole: LoadedModel | None = None
        check_export(export.folder, trust=trust)
        try:
            # Most processes ask these alone, and the others take twice its time to load.
            self._loaded = LoadedModel(
                export.folder,
                warm_up=False,
                load=partial(load_pruned, names=first),
                trust=True,
            )
            self._names = signature_names(export.folder)
        except (OSError, ValueError, tf.errors.OpError, RequestError) as error:
            raise ConfigError(
                f"--model {export.folder}: TensorFlow cannot load it ({error}). Copy it again, or "
                "export the model anew."
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._loaded.close()
        if self._whole is not None:
            self._whole.close()

    def ask(
        self,
        inputs: Mapping[str, np.ndarray],
        signature: str = "serving_default",
        outputs: Iterable[str] = (),
    ) -> tuple[dict[str, np.ndarray], int]:
        """Returns (outputs of a signature by name, the version), see `SpeechClient.ask`."""
        from serving.server.errors import RequestError

        try:
            return self._model_of(signature).run(signature, inputs, list(outputs)), self._version
        except RequestError as error:
            code = error.code.name
            raise ServerError(f"model {self.model}: {code}: {error.message}", code) from None

    def signatures(self) -> frozenset[str]:
        """Returns the names of the model's signatures."""
        return self._names

    def _model_of(self, signature: str) -> "LoadedModel":
        """Returns the model with a signature; all others are loaded when one is asked for."""
        if signature in self._loaded.signatures:
            return self._loaded
        if self._whole is None:
            from serving.server.session import LoadedModel

            self._whole = LoadedModel(self._folder, warm_up=False, trust=self._trust)
        return self._whole
