"""The verb that asks a server for predictions."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ser_keras.cli.console import console
from ser_keras.errors import ConfigError, ServingError
from serving.client.endpoint import Certificate, Endpoint, Key, RootCertificate, UncertainBelow

if TYPE_CHECKING:
    from serving.client.client import SerClient
    from serving.client.prediction import Prediction
    from serving.client.speaker_statistics import Statistics


def predict(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Audio files, or - for live 16-bit mono PCM on standard input."),
    ],
    server: Annotated[str, typer.Option(help="host:port of the server's gRPC.")] = "localhost:8500",
    model: Annotated[str, typer.Option(help="Name of the model on the server.")] = "moma",
    timeline: Annotated[
        bool, typer.Option(help="Predict along the recording, as for live input.")
    ] = False,
    window_s: Annotated[
        float | None,
        typer.Option(min=0.01, help="Length of a window in seconds; 4 by default."),
    ] = None,
    hop_s: Annotated[
        float | None,
        typer.Option(
            min=0.01, help="Seconds between two predictions; 2, or the model's step, by default."
        ),
    ] = None,
    rate: Annotated[
        int, typer.Option(min=1, help="Sampling rate of standard input, in Hz.")
    ] = 16000,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line.")
    ] = False,
    statistics: Annotated[
        Path | None,
        typer.Option(help="Statistics of the speaker, from the client's enrol; for all files."),
    ] = None,
    uncertain_below: UncertainBelow = 0.0,
    root_certificate: RootCertificate = None,
    certificate: Certificate = None,
    key: Key = None,
) -> None:
    """Ask a server for the emotion in recordings; a file that fails does not stop the others.

    With live input or --timeline, a model that streams, such as the predictive VRNN, takes the
    audio as one endless recording: each prediction is for all audio from its start. Other models
    predict for each window by itself.
    """
    import soundfile

    from serving.client.connection import ServerError

    known = _speaker(statistics)
    failures, error_console = 0, Console(stderr=True, soft_wrap=True)
    with Endpoint(server, root_certificate, certificate, key).client(model) as client:
        for source in sources:
            try:
                windows = {"window_s": window_s, "hop_s": hop_s, "statistics": known}
                for prediction in _predictions(client, source, rate, timeline, windows):
                    line = _line(source, prediction, as_json, uncertain_below)
                    console.print(line, markup=False)
            except (ServerError, soundfile.LibsndfileError) as error:
                failures += 1
                error_console.print(_failure(source, error), markup=False)
    if failures:
        raise ServingError(f"{failures} of {len(sources)} files have no prediction, see above.")


def _speaker(path: Path | None) -> "Statistics | None":
    """Returns the statistics in a file, None without one.

    Raises:
        ConfigError: it holds none.
    """
    from serving.client.speaker_statistics import Statistics, StatisticsError

    try:
        return None if path is None else Statistics.read(path)
    except StatisticsError as error:
        raise ConfigError(f"--statistics {error}") from None


def _predictions(
    client: "SerClient", source: Path, rate: int, timeline: bool, options: Mapping[str, Any]
) -> Iterator["Prediction"]:
    """Returns the predictions for a file, along a file, or along standard input.

    Args:
        client: of the server.
        source: the file, or "-".
        rate: int. Sampling rate of standard input.
        timeline: bool. Whether to predict along the file.
        options: window_s, hop_s and statistics of `SerClient.timeline`.
    """
    if str(source) == "-":
        # One window per call, since the speaker is waiting for the prediction.
        return client.timeline(sys.stdin.buffer, rate, batch_size=1, **options)
    if timeline:
        return _with_progress(client.timeline(source, **options), source)
    return iter([client.predict(source, statistics=options["statistics"])])


def _with_progress(predictions: Iterator["Prediction"], source: Path) -> Iterator["Prediction"]:
    """Yields predictions, with a progress bar on the terminal if their lines go into a file."""
    import soundfile
    from rich.progress import Progress

    shown = sys.stderr.isatty() and not sys.stdout.isatty()
    bar = Progress(console=Console(stderr=True), redirect_stdout=False, disable=not shown)
    with bar:
        # The first prediction reports a missing file.
        total = soundfile.info(source).duration if source.is_file() else None
        task = bar.add_task(source.name, total=total)
        for prediction in predictions:
            yield prediction
            bar.update(task, completed=prediction.end_s)


def _line(source: Path, prediction: "Prediction", as_json: bool, uncertain_below: float) -> str:
    start_s, end_s = round(prediction.start_s, 3), round(prediction.end_s, 3)
    if as_json:
        values = {"file": str(source), "start_s": start_s, "end_s": end_s}
        values |= {"label": prediction.answer(uncertain_below)}
        values |= {"probabilities": prediction.probabilities, "version": prediction.version}
        values |= {"track": prediction.track}
        return json.dumps(values)
    return f"{source} {start_s:.1f}-{end_s:.1f} s: {prediction.in_words(uncertain_below)}"


def _failure(source: Path, error: Exception) -> str:
    """Returns why a file has no prediction, and what to do if no server answers."""
    reason = str(error).removeprefix(f"{source}: ")
    hint = ""
    if getattr(error, "code", None) == "UNAVAILABLE":
        hint = ". Start it with ser serve, and wait until it says where it listens."
    return f"{source}: {reason}{hint}"
