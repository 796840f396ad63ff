"""The verb that serves exports on this machine, for development."""

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ser_keras.cli.console import console, starting
from ser_keras.errors import ConfigError
from serving.cli.model import Trust
from serving.cli.serve_options import (
    REST_PORT,
    BatchingFile,
    EnableBatching,
    GrpcThreads,
    LabelsInAdvance,
    LogRequests,
    MemoryMib,
    ModelFolder,
    ModelsFile,
    MonitoringFile,
    PollSeconds,
    RestBodiesMib,
    RestBodyMib,
    RestBodySeconds,
    RestBytesPerSecond,
    RestConnections,
    RestCors,
    RestHeaderSeconds,
    RestIdleSeconds,
    RestPort,
    RestTimeoutMs,
    SslFile,
    rest_options,
)
from serving.ready import NAME, ready_model

if TYPE_CHECKING:
    from serving.server.config_files import ModelEntry
    from serving.server.server import ServerOptions


def serve(
    context: typer.Context,
    model_name: Annotated[str, typer.Option("--model_name", help="Name of the model.")] = "",
    model_base_path: ModelFolder = None,
    model_config_file: ModelsFile = None,
    port: Annotated[int, typer.Option("--port", help="Port for gRPC.")] = 8500,
    rest_api_port: RestPort = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    poll_s: PollSeconds = 1.0,
    ssl_config_file: SslFile = None,
    monitoring_config_file: MonitoringFile = None,
    enable_batching: EnableBatching = False,
    batching_parameters_file: BatchingFile = None,
    threads: GrpcThreads = 16,
    memory_mib: MemoryMib = 1024,
    rest_api_timeout_ms: RestTimeoutMs = 30_000,
    rest_cors: RestCors = False,
    rest_body_mib: RestBodyMib = 12,
    rest_bodies_mib: RestBodiesMib = 2048,
    rest_header_seconds: RestHeaderSeconds = 10.0,
    rest_body_seconds: RestBodySeconds = 120.0,
    rest_bytes_per_second: RestBytesPerSecond = 1000.0,
    rest_idle_seconds: RestIdleSeconds = 30,
    rest_connections: RestConnections = 1000,
    log_requests: LogRequests = "none",
    labels_in_advance: LabelsInAdvance = False,
    trust: Trust = False,
) -> None:
    """Serve exports over TensorFlow Serving's protocols on this machine, for development."""
    if log_requests != "none":
        # gRPC reads it when it is imported, and tells of failed handshakes at this level alone.
        os.environ.setdefault("GRPC_VERBOSITY", "info")
    with starting():
        from serving.server.rest.options import MIB
        from serving.server.server import ServerOptions

    models = _models(model_name, model_base_path, model_config_file)
    _check_labels(models, labels_in_advance)
    rest_port = _rest_port(rest_api_port, encrypted=ssl_config_file is not None)
    options = ServerOptions(host, port, rest_port, threads, poll_s=poll_s)
    options = _with_files(
        replace(
            options,
            memory_bytes=memory_mib * MIB,
            log_requests=log_requests,
            trust=trust,
            labels_in_advance=labels_in_advance,
            rest=rest_options(context.params),
        ),
        batching_parameters_file,
        monitoring_config_file,
        ssl_config_file,
        enable_batching=enable_batching,
    )
    _serve(models, options)


def _rest_port(option: int | None, *, encrypted: bool) -> int | None:
    """Returns the port of REST, None for no REST.

    Clients that TLS keeps out must not find the same models in plain text next door.
    """
    if option is None:
        return None if encrypted else REST_PORT
    if option and encrypted:
        console.print(
            "[yellow]REST is not encrypted and asks nobody for a certificate[/]; leave "
            "--rest_api_port out to serve gRPC alone",
            markup=True,
        )
    return option or None


def _serve(models: list["ModelEntry"], options: "ServerOptions") -> None:
    """Serves until the process is asked to end."""
    from serving.server.server import Server
    from serving.server.shutdown import EndSignal

    # TensorFlow warns that sessions are deprecated for training; a server only predicts.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    console.print(
        "[yellow]development server, not TensorFlow Serving[/]; for production run the container "
        "of serving/deploy with the same files",
        markup=True,
    )
    with console.status("loading"):
        server = Server(models, options, lambda text: console.print(text))
        end = EndSignal()
        server.start()
    server.wait(end)


def _models(name: str, base_path: Path | None, config_file: Path | None) -> list["ModelEntry"]:
    """Returns the models of the options, each with an existing folder.

    Raises:
        ConfigError: a folder is missing, or is one level too deep or too high.
    """
    from serving.server.config_files import one_model, read_models

    if config_file is None and not name and base_path is None:
        name, base_path = NAME, ready_model()
    if config_file is None and not (name and base_path):
        raise ConfigError(
            "serve: found one of --model_name and --model_base_path, expected both, or "
            "--model_config_file, or none of them for the model that comes with the package."
        )
    if config_file is not None:
        models = read_models(config_file)
    else:
        models = one_model(name, Path(base_path or ".").resolve())
    for model in models:
        if not model.base_path.is_dir():
            raise ConfigError(
                f"model {model.name}: found no folder {model.base_path}, expected its versions "
                "there. Publish one with ser export."
            )
        if meant := _meant_instead(model.base_path):
            raise ConfigError(
                f"model {model.name}: found no folder of a version (1, 2, ...) in "
                f"{_as_typed(model.base_path)}; did you mean {_as_typed(meant)}?"
            )
    return models


def _check_labels(models: list["ModelEntry"], in_advance: bool) -> None:
    """Refuses labels at the start, when no version is loaded, unless they are allowed in advance.

    Raises:
        ConfigError: TensorFlow Serving would not start either.
    """
    for model in models:
        for label, version in () if in_advance else model.labels.items():
            raise ConfigError(
                f"model {model.name}: found the label {label!r} of version {version}, which is not "
                "loaded yet when the server starts. TensorFlow Serving does not start either. Add "
                "--allow_version_labels_for_unavailable_models, here and there."
            )


def _meant_instead(base_path: Path) -> Path | None:
    """Returns the folder of versions beside one that is itself a version, or holds models."""
    from serving.export.layout import versions

    if versions(base_path):
        return None
    if (base_path / "saved_model.pb").is_file():
        return base_path.parent
    return next((path for path in sorted(base_path.iterdir()) if versions(path)), None)


def _as_typed(path: Path) -> Path:
    """Returns a path as a user would type it, relative to where the command was started."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _with_files(
    options: "ServerOptions",
    batching_file: Path | None,
    monitoring_file: Path | None,
    ssl_file: Path | None,
    *,
    enable_batching: bool,
) -> "ServerOptions":
    """Returns the options of a server with the contents of its configuration files."""
    from serving.server.batching import BatchingParameters
    from serving.server.config_files import read_batching, read_monitoring, read_ssl

    # Read even if batching is off, so that a mistake in the file shows before production.
    batching = read_batching(batching_file) if batching_file else BatchingParameters()
    if enable_batching:
        options = replace(options, batching=batching)
    if monitoring_file:
        options = replace(options, metrics_path=read_monitoring(monitoring_file))
    if ssl_file:
        options = replace(options, ssl=read_ssl(ssl_file))
    return options
