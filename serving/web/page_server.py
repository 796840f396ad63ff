"""An HTTP server in a thread, for as long as the page is open."""

import socket
import threading

import uvicorn

from ser_keras.errors import ConfigError, ServingError
from serving.web.guard import App

READY_S = 60.0
# How long the answers that are under way may take when the page is closed.
STOP_S = 2
# A browser needs six connections at most.
MOST_CONNECTIONS = 256


class PageServer:
    """A running server of an ASGI application; `close` ends it.

    Args:
        app: the application.
        host: str. Name or address to listen on.
        port: int. 0 takes a free one.

    Raises:
        ConfigError: the address is unknown, or the port taken.
        ServingError: the application does not start.
    """

    def __init__(self, app: App, host: str, port: int):
        self._socket = _listening(host, port)
        name = f"[{host}]" if ":" in host else host
        self.address = f"http://{name}:{self._socket.getsockname()[1]}/"
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                server_header=False,
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=STOP_S,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )
        self._thread.start()
        self._wait_until_ready()

    def close(self) -> None:
        """Stops the server and frees its port."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def _wait_until_ready(self) -> None:
        waiting = threading.Event()
        for _ in range(round(READY_S / 0.05)):
            if self._server.started:
                return
            if not self._thread.is_alive():
                break
            waiting.wait(0.05)
        self.close()
        raise ServingError("The page did not start; see above.")


def _listening(host: str, port: int) -> socket.socket:
    """Returns a socket that listens.

    Raises:
        ConfigError: the address is unknown, or the port taken.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise ConfigError(
            f"--host {host}: {error.strerror}. Give an address of this machine."
        ) from None
    try:
        return socket.create_server(address[:2], family=family, backlog=MOST_CONNECTIONS)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"--port {port}: taken, or not allowed on {host} ({error}). Choose another."
        ) from None
