"""The development server: TensorFlow Serving's protocols on a machine without containers."""

import threading
from collections.abc import Callable, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc

from ser_keras.errors import ConfigError
from serving.server.batching import BatchingParameters
from serving.server.config_files import ModelEntry
from serving.server.grpc_api import Services, UnknownMethods
from serving.server.loading.memory import give_back_large_blocks
from serving.server.loading.watcher import Watcher
from serving.server.manager import ModelManager
from serving.server.metrics import METRICS_PATH, WATCHER_ALIVE, Metrics
from serving.server.requests.memory import MemoryBudget
from serving.server.requests.record import LogLevel, RequestLog
from serving.server.rest.app import RestApp
from serving.server.rest.options import RestOptions
from serving.server.rest.rest_server import RestServer
from serving.server.shutdown import EndSignal
from serving.server.transport.tls import server_credentials

# Half a minute of speech is sent at once, instead of 64 KiB at a time with an answer to each. This
# much of each call is in memory before anyone reads it.
TRANSPORT = (("grpc.http2.lookahead_bytes", 2 * 2**20), ("grpc.http2.bdp_probe", 0))
# What requests over REST, which wait for memory, leave of it to those over gRPC, which do not.
LEFT_TO_GRPC = 1 / 4
HEALTH_NAMES = ("", "ModelService", "PredictionService")
WATCHER = "ModelWatcher"


@dataclass(frozen=True)
class ServerOptions:
    """How the server listens.

    Args:
        host: str. Address to listen on; this machine alone by default.
        port: int. Of gRPC; 0 takes a free one.
        rest_port: int or None. Of REST, which is never encrypted; 0 takes a free one, None leaves
            it out.
        threads: int. Calls that are read at once. As many run as there are processors; the others
            wait or are refused. With 8 threads fewer calls waited than could have been answered;
            with 64, reading calls that were then refused took a third of the processors' time.
        max_calls: int. Calls that are accepted at once. gRPC refuses more of them unread, and their
            clients retry at once: with 64 calls, eighty clients did little else. With more calls,
            each waits longer.
        max_message_bytes: int. Largest request, as it is sent and as arrays.
        memory_bytes: int. What requests may take together: a quarter as they are read and answered,
            the rest while graphs run.
        batching: how requests are joined; None joins none.
        poll_s: float. Time between two readings of the disk.
        drain_s: float. Most time that running calls may take when the server stops.
        ssl: mapping with server_key, server_cert, custom_ca and client_verify, or None.
        metrics_path: str or None. REST's path of the metrics.
        log_requests: which requests have a line in the log.
        trust: bool. Serve models that `ser export` did not make, see `serving.export.trust`.
        labels_in_advance: bool. As of `ModelManager`.
        rest: what REST allows its clients.
    """

    host: str = "127.0.0.1"
    port: int = 8500
    rest_port: int | None = None
    threads: int = 16
    max_calls: int = 96
    max_message_bytes: int = 32 * 2**20
    memory_bytes: int = 1024 * 2**20
    batching: BatchingParameters | None = None
    poll_s: float = 1.0
    drain_s: float = 10.0
    ssl: Any = None
    metrics_path: str | None = METRICS_PATH
    log_requests: LogLevel = "none"
    trust: bool = False
    labels_in_advance: bool = False
    rest: RestOptions = field(default_factory=RestOptions)


class Server:
    """gRPC and REST over one `ModelManager`.

    Args:
        models: entries of the models.
        options: how it listens.
        log: called with a sentence on every change.
    """

    def __init__(
        self,
        models: Sequence[ModelEntry],
        options: ServerOptions,
        log: Callable[[str], None] = lambda text: None,
    ):
        self.options, self.log = options, log
        quarter = options.memory_bytes // 4
        self._memory = MemoryBudget(quarter, reserve=int(LEFT_TO_GRPC * quarter))
        self.manager = ModelManager(
            models,
            log,
            batching=options.batching,
            trust=options.trust,
            memory=MemoryBudget(3 * quarter),
            labels_in_advance=options.labels_in_advance,
        )
        self.metrics = Metrics(self.manager.is_configured, RequestLog(log, options.log_requests))
        self._stopping = threading.Event()
        self._ready = False
        # The manager is looked up at each look.
        self._watcher = Watcher(lambda: self.manager.poll(), options.poll_s, log)
        self.metrics.gauges[WATCHER_ALIVE] = lambda: self._watcher.is_alive
        self._grpc = self._grpc_server()
        self._rest: RestServer | None = None
        self.port = self._bind(options)
        self.rest_port: int | None = None

    def start(self) -> None:
        """Loads the versions on disk, then listens and polls the disk.

        It listens even if no version can be loaded, as TensorFlow Serving does; the log says when
        the first model can answer.

        Raises:
            ConfigError: the REST port is taken.
        """
        give_back_large_blocks()
        self._watcher.look()
        if self.options.rest_port is not None:
            self._rest = self._rest_server(self.options.rest_port)
            self.rest_port = self._rest.port
            self._rest.start()
        self._grpc.start()
        for name, answers in self.manager.answering().items():
            if not answers:
                self.log(f"{name}: no version can answer; waiting for one")
        self._watcher.start()
        self._update_health()
        threading.Thread(target=self._watch_health, daemon=True).start()

    def stop(self) -> None:
        """Takes no new calls, waits for the running ones, and frees everything."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._watcher.stop()
        self._set_health(False)
        grpc_stopped = self._grpc.stop(self.options.drain_s)
        if self._rest is not None:
            self._rest.stop(self.options.drain_s)
        grpc_stopped.wait()
        self.manager.close()

    def wait(self, end: EndSignal) -> None:
        """Serves until SIGTERM or SIGINT, then stops."""
        end.wait()
        self.log("draining")
        self.stop()

    def _grpc_server(self) -> grpc.Server:
        from grpc_health.v1 import health, health_pb2_grpc

        options = self.options
        server = grpc.server(
            futures.ThreadPoolExecutor(options.threads),
            maximum_concurrent_rpcs=options.max_calls,
            options=[
                ("grpc.max_receive_message_length", options.max_message_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
                *TRANSPORT,
            ],
        )
        services = Services(self.manager, self.metrics, self._memory, options.max_message_bytes)
        server.add_generic_rpc_handlers(services.handlers())
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        server.add_generic_rpc_handlers([UnknownMethods(self.metrics)])
        return server

    def _rest_server(self, port: int) -> RestServer:
        options = self.options
        app = RestApp(
            self.manager,
            self.metrics,
            options.rest,
            self._memory,
            max_predictions=options.max_calls,
            metrics_path=options.metrics_path,
        )
        try:
            return RestServer(app, options.host, port, max_predictions=options.max_calls)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigError(f"--rest_api_port {port}: {reason}. Choose another.") from None

    def _bind(self, options: ServerOptions) -> int:
        address = f"{options.host}:{options.port}"
        credentials = None if options.ssl is None else server_credentials(options.ssl)
        try:
            if credentials is None:
                return self._grpc.add_insecure_port(address)
            return self._grpc.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise ConfigError(f"--port {options.port}: {error}. Choose another.") from None

    def _watch_health(self) -> None:
        while not self._stopping.wait(self.options.poll_s):
            self._update_health()
            # Health has said by now that it was dead.
            self._watcher.revive()

    def _update_health(self) -> None:
        """Says SERVING once a model can answer, and logs where to ask it.

        The watcher has a health of its own: without it models go on answering, but new versions
        are not served.
        """
        serving = any(self.manager.answering().values())
        if serving and not self._ready:
            rest = f", REST http://{self.options.host}:{self.rest_port}/v1/models"
            self.log(f"gRPC {self.options.host}:{self.port}{rest if self.rest_port else ''}")
        if not self._stopping.is_set():
            self._set_health(serving)
        self._ready = self._ready or serving

    def _set_health(self, serving: bool) -> None:
        from grpc_health.v1 import health_pb2

        status = health_pb2.HealthCheckResponse
        health = dict.fromkeys(HEALTH_NAMES, serving) | {WATCHER: self._watcher.is_alive}
        for name, is_well in health.items():
            self._health.set(name, status.SERVING if is_well else status.NOT_SERVING)
