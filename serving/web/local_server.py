"""A development server in a process of its own, for as long as a block of code runs."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from ser_keras.errors import ConfigError, ServingError
from serving.explain.own_process import own_process
from serving.export.layout import versions

READY_S = 120.0


@dataclass(frozen=True)
class Published:
    """A published model on disk.

    Args:
        name: str. What a server calls it.
        folder: Path. Of its versions.
        version: int or None. None is the newest.
    """

    name: str
    folder: Path
    version: int | None = None

    @property
    def newest(self) -> Path:
        """Folder of the version that a server takes."""
        return self.folder / str(self.version or versions(self.folder)[-1])

    @classmethod
    def open(cls, path: Path) -> "Published":
        """Returns the model in `<base>/<name>` or `<base>/<name>/<version>`.

        Raises:
            ConfigError: the folder is neither.
        """
        path = path.resolve()
        if versions(path):
            return cls(path.name, path)
        if path.name.isdecimal() and (path / "saved_model.pb").is_file():
            return cls(path.parent.name, path.parent, int(path.name))
        raise ConfigError(
            f"--export {path}: found no version of a model, expected the folder <base>/<name> or "
            "<base>/<name>/<version> that ser export printed."
        )


@contextmanager
def local_server(models: Sequence[Published]) -> Iterator[str]:
    """Gives `host:port` of a development server of these models; stops it at the end.

    It listens to this machine alone, at a free port.

    Raises:
        ServingError: it does not start; says why.
    """
    with own_process(_serve, list(models)) as pipe:
        try:
            if not pipe.poll(READY_S):
                raise ServingError(f"development server: not ready after {READY_S:.0f} s.")
            port = pipe.recv()
        except EOFError:
            raise ServingError(
                "development server: it ended before it was ready. Start ser serve with the same "
                "folder, which says why."
            ) from None
        yield f"127.0.0.1:{port}"


def _serve(pipe: Connection, models: Sequence[Published]) -> None:
    from serving.server.config_files import ModelEntry
    from serving.server.server import Server, ServerOptions

    # The session is deprecated for training; a server runs nothing else.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    configs = [
        ModelEntry(each.name, each.folder, specific=(each.version,) if each.version else ())
        for each in models
    ]
    server = Server(configs, ServerOptions(port=0, rest_port=None))
    try:
        server.start()
        pipe.send(server.port)
        pipe.recv()
    finally:
        server.stop()
