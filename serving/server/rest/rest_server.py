"""The REST server: an application, its connections, and how both end."""

import logging
import resource
import threading
import time

from waitress.adjustments import Adjustments
from waitress.wasyncore import close_all, loop

from serving.server.rest.app import RestApp
from serving.server.rest.connections import SMALL_BODY_BYTES, Listener
from serving.server.rest.framing import MAX_HEADER_BYTES

# Threads that answer status, metrics and refusals while all others predict.
SPARE_THREADS = 4
READ_BYTES = 2**16
# Answers wait for slow clients in memory, then on disk, and never in a thread.
MAX_PENDING_ANSWER = 2**40
# Files that gRPC, TensorFlow and the models need.
OTHER_FILES = 256
# While clients are connected, the server says at least so long that it is stopping.
LEAST_STOPPING_S = 0.5
# Time for those who connected at the last moment, or have not closed their connection.
FAREWELL_S = 1.0


class RestServer:
    """Serves an application until it is stopped.

    Args:
        app: the application.
        host: str. Address to listen on.
        port: int. 0 takes a free one.
        max_predictions: int. Number of threads, with some more for other requests.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, app: RestApp, host: str, port: int, *, max_predictions: int):
        logging.getLogger("waitress").setLevel(logging.ERROR)
        options = app.options
        adjustments = Adjustments(
            listen=f"{host}:{port}",
            ident="ser serve",
            threads=max_predictions + SPARE_THREADS,
            recv_bytes=READ_BYTES,
            inbuf_overflow=SMALL_BODY_BYTES,
            connection_limit=_connection_limit(options.connections),
            cleanup_interval=1,
            channel_timeout=options.idle_s,
            log_socket_errors=False,
            clear_untrusted_proxy_headers=False,
            max_request_header_size=MAX_HEADER_BYTES,
            # waitress refuses bodies of this size, too.
            max_request_body_size=options.max_body_bytes + 1,
            outbuf_high_watermark=MAX_PENDING_ANSWER,
        )
        self._app, self._listener = app, Listener(app, adj=adjustments)
        self.port = int(self._listener.effective_port)
        self._last_clients, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Serves from now on, in a thread."""
        self._thread.start()

    def stop(self, drain_s: float) -> None:
        """Answers what has arrived, tells everyone else that it is stopping, then ends.

        Args:
            drain_s: float. Most time for the answers.
        """
        self._app.stopping = True
        began = time.monotonic()
        while time.monotonic() < began + drain_s and self._listener.active_channels:
            if time.monotonic() > began + LEAST_STOPPING_S and not self._listener.is_busy:
                break
            time.sleep(0.02)
        self._last_clients.set()
        self._listener.pull_trigger()
        deadline = time.monotonic() + FAREWELL_S
        while time.monotonic() < deadline and (
            self._listener.accepting or self._listener.active_channels
        ):
            time.sleep(0.02)
        self._ended.set()
        self._listener.pull_trigger()
        self._thread.join()
        self._listener.task_dispatcher.shutdown(timeout=1)

    def _run(self) -> None:
        connections = self._listener._map
        while not self._ended.is_set():
            loop(1.0, use_poll=True, map=connections, count=1)
            if self._last_clients.is_set():
                self._listener.stop_listening()
        close_all(connections)


def _connection_limit(wanted: int) -> int:
    """Returns how many connections the files allow that this process may open.

    A request or an answer on a connection may need a file of its own.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return wanted
    return max(16, min(wanted, (files - OTHER_FILES) // 2))
