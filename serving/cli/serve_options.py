"""The options of `ser serve` that are about its limits and its files."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from serving.server.rest.options import RestOptions

ModelFolder = Annotated[
    Path | None, typer.Option("--model_base_path", help="Folder of its versions.")
]
ModelsFile = Annotated[
    Path | None,
    typer.Option("--model_config_file", help="A models.config that lists several models."),
]
PollSeconds = Annotated[
    float,
    typer.Option(
        "--file_system_poll_wait_seconds", help="Seconds between two searches for new versions."
    ),
]
SslFile = Annotated[Path | None, typer.Option("--ssl_config_file", help="An ssl.config, for TLS.")]
MonitoringFile = Annotated[
    Path | None,
    typer.Option("--monitoring_config_file", help="A monitoring.config, for the metrics."),
]
EnableBatching = Annotated[
    bool,
    typer.Option("--enable_batching", help="Run waiting requests of equal shapes as one batch."),
]
BatchingFile = Annotated[
    Path | None,
    typer.Option("--batching_parameters_file", help="A batching.config for --enable_batching."),
]
GrpcThreads = Annotated[
    int,
    typer.Option("--grpc_max_threads", help="Number of calls that are read at the same time."),
]
RestTimeoutMs = Annotated[
    int,
    typer.Option(
        "--rest_api_timeout_in_ms",
        min=1,
        help="Longest time for one prediction over REST, in milliseconds.",
    ),
]
RestCors = Annotated[
    bool,
    typer.Option(
        "--rest_api_enable_cors_support", help="Let web pages of other origins read REST's answers."
    ),
]
RestBodyMib = Annotated[
    int,
    typer.Option(min=1, help="Largest body of a REST request, compressed or not, in MiB."),
]
MemoryMib = Annotated[
    int,
    typer.Option(
        min=64,
        help="Memory that the requests of both protocols may take together beside the models, in "
        "MiB; three quarters of it are for graphs that run. Beyond it gRPC refuses requests, and "
        "those over REST wait.",
    ),
]
RestBodiesMib = Annotated[
    int,
    typer.Option(
        min=1, help="Disk that all REST bodies may take, in MiB; other large ones are refused."
    ),
]
RestHeaderSeconds = Annotated[
    float,
    typer.Option(min=0.1, help="Longest time for the header of a REST request, in seconds."),
]
RestBodySeconds = Annotated[
    float,
    typer.Option(min=0.1, help="Longest time for a whole REST request to arrive, in seconds."),
]
RestBytesPerSecond = Annotated[
    float,
    typer.Option(
        min=0,
        help="Lowest accepted average rate of a body that takes longer than --rest-header-seconds.",
    ),
]
RestIdleSeconds = Annotated[
    int,
    typer.Option(min=1, help="Seconds until a REST connection without a request is closed."),
]
RestConnections = Annotated[
    int,
    typer.Option(
        min=1,
        help="REST connections at the same time; beyond it, those that have been idle longest "
        "are closed.",
    ),
]
LabelsInAdvance = Annotated[
    bool,
    typer.Option(
        "--allow_version_labels_for_unavailable_models",
        help="Let a new label of a models.config name a version that is not loaded yet, as all are "
        "at the start.",
    ),
]
# TensorFlow Serving's documentation has this port throughout.
REST_PORT = 8501
# As in `serving.server.requests.record`, which is not imported to list the verbs.
LogLevel = Literal["none", "refused", "all"]

RestPort = Annotated[
    int | None,
    typer.Option(
        "--rest_api_port",
        help=f"Port for REST, which is not encrypted; 0 switches it off. {REST_PORT} if left out, "
        "but with --ssl_config_file no REST.",
        show_default=False,
    ),
]
LogRequests = Annotated[
    LogLevel,
    typer.Option(
        help="Which requests get a line: all, those refused, none. Unless none, gRPC prints "
        "failed TLS handshakes as well."
    ),
]


def rest_options(options: Mapping[str, Any]) -> "RestOptions":
    """Returns what REST allows its clients, from the options of the command line by name."""
    from serving.server.rest.options import MIB, RestOptions

    return RestOptions(
        max_body_bytes=options["rest_body_mib"] * MIB,
        bodies_bytes=options["rest_bodies_mib"] * MIB,
        header_s=options["rest_header_seconds"],
        body_s=options["rest_body_seconds"],
        min_bytes_per_s=options["rest_bytes_per_second"],
        idle_s=options["rest_idle_seconds"],
        connections=options["rest_connections"],
        prediction_s=options["rest_api_timeout_ms"] / 1000,
        cors=options["rest_cors"],
    )
