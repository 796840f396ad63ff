"""Which model answers: one on a server, an export, or the one that comes with the package."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ser_keras.cli.console import error_console, printable
from ser_keras.errors import ConfigError
from serving.client.endpoint import Endpoint
from serving.ready import ready_model

if TYPE_CHECKING:
    from serving.client.speaker_statistics import Statistics
    from serving.client.speech_client import SpeechClient

ModelName = Annotated[
    str | None,
    typer.Option(
        help="Folder of an export of `ser export`, or with --server the model's name there; "
        "the model that comes with the package by default."
    ),
]
ServerAddress = Annotated[
    str | None,
    typer.Option(help="host:port of a server's gRPC; without it the model runs in this process."),
]

Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Load a model here that `ser export` of this version did not make. Such a model can "
        "read and write your files.",
    ),
]


def speech_client(
    model: str | None, endpoint: Endpoint | None, *, trust: bool = False
) -> AbstractContextManager["SpeechClient"]:
    """Returns a client of a server's model, or of an export that it loads into this process.

    Of a model in this process, a line on standard error says what it has heard and how good it is.

    Args:
        model: its name on the server, or the folder of the export; None for the ready model.
        endpoint: the server; None for a model in this process.
        trust: bool. Load the export even if `ser export` did not make it.

    Raises:
        ConfigError: no such export, or a server without the name of a model.
    """
    if endpoint is not None:
        if model is None:
            raise ConfigError(
                "--server: found no name of a model, expected one that the server has. Add --model."
            )
        return endpoint.client(model)
    # Standard output is for the answers alone.
    with error_console.status("loading the model"):
        from serving.explain.described_export import open_export
        from serving.explain.introduction import introduction
        from serving.explain.local_client import LocalClient

        try:
            export = open_export(Path(model) if model is not None else ready_model())
        except ConfigError as error:
            raise ConfigError(
                f"{error} To ask a server for its model {model!r}, add --server host:port."
            ) from None
        client = LocalClient(export, trust=trust)
    error_console.print(printable(introduction(export.about), keep=""), style="dim")
    return client


def read_speaker(path: Path | None) -> "Statistics | None":
    """Returns the statistics of a speaker in a file, None without one.

    Raises:
        ConfigError: it holds none.
    """
    from serving.client.speaker_statistics import Statistics, StatisticsError

    try:
        return None if path is None else Statistics.read(path)
    except StatisticsError as error:
        raise ConfigError(f"--speaker {error}") from None
