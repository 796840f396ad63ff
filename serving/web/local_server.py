"""A development server in another process, for as long as a block of code runs.

The page then needs neither TensorFlow nor its memory, and outlives a crash of the server. The two
processes share a pipe, and its end tells the server to stop. It also comes when the page's process
is killed, so that no server stays behind.
"""

import logging
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from ser_keras.errors import ConfigError, ServingError
from serving.export.layout import version_folders, version_number, versions

READY_S = 120.0
STOP_S = 20.0


@dataclass(frozen=True)
class Published:
    """A published model on disk.

    Args:
        name: str. Its name on a server.
        folder: Path. Folder of its versions.
        version: int or None. None is the newest.
    """

    name: str
    folder: Path
    version: int | None = None

    @property
    def newest(self) -> Path:
        """Folder of the version that is served."""
        folders = version_folders(self.folder)
        return folders[self.version or max(folders)]

    @classmethod
    def open(cls, path: Path) -> "Published":
        """Returns the model in `<base>/<name>` or `<base>/<name>/<version>`.

        Raises:
            ConfigError: the folder is neither.
        """
        path = path.resolve()
        if versions(path):
            return cls(path.name, path)
        number = version_number(path.name)
        if number is not None and (path / "saved_model.pb").is_file():
            return cls(path.parent.name, path.parent, number)
        raise ConfigError(
            f"--export {path}: found no version of a model, expected the folder <base>/<name> or "
            "<base>/<name>/<version> that ser export printed."
        )


@contextmanager
def local_server(models: Sequence[Published], *, trust: bool = False) -> Iterator[str]:
    """Gives `host:port` of a development server of these models; stops it at the end.

    It listens on a free port and accepts connections from this machine only.

    Args:
        models: what it serves.
        trust: bool. Serve models that `ser export` did not make, see `serving.export.trust`.

    Raises:
        ServingError: it does not start, or cannot serve a model; says why.
    """
    context = multiprocessing.get_context("spawn")
    pipe, server_pipe = context.Pipe()
    process = context.Process(target=_serve, args=(server_pipe, list(models), trust), daemon=True)
    process.start()
    # The end of the other process is noticed only if this one does not hold its pipe.
    server_pipe.close()
    try:
        yield f"127.0.0.1:{_port_of(pipe)}"
    finally:
        pipe.close()
        process.join(STOP_S)
        if process.is_alive():
            process.kill()
            process.join()


def _port_of(pipe: Connection) -> int:
    """Waits until the server at the other end is ready; returns its port."""
    try:
        if not pipe.poll(READY_S):
            raise ServingError(f"development server: not ready after {READY_S:.0f} s.")
        port, problem = pipe.recv()
    except EOFError:
        raise ServingError(
            "development server: it ended before it was ready. Start ser serve with the same "
            "folder to see the reason."
        ) from None
    if problem:
        raise ServingError(f"development server: {problem}")
    return int(port)


def _serve(pipe: Connection, models: Sequence[Published], trust: bool) -> None:
    """Serves until the pipe ends; runs in the other process."""
    # Ctrl-C reaches every process of a terminal; this one ends after the page.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from serving.server.config_files import ModelEntry
    from serving.server.server import Server, ServerOptions

    # TensorFlow deprecates sessions for training; a server runs nothing else.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    configs = [
        ModelEntry(model.name, model.folder, specific=(model.version,) if model.version else ())
        for model in models
    ]
    server = Server(configs, ServerOptions(port=0, rest_port=None, trust=trust))
    try:
        server.start()
        problems = map(server.manager.problem, server.manager.answering())
        pipe.send((server.port, "; ".join(filter(None, problems))))
        pipe.recv()
    except (EOFError, OSError):
        # The page has gone.
        pipe.close()
    finally:
        server.stop()
