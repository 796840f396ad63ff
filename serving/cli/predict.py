"""The verb that names the emotion in recordings, with a model in this process or on a server."""

import json
import math
import sys
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ser_keras.cli.console import console, error_console, printable
from ser_keras.errors import AudioError, ConfigError, NoSpeechError, SerError, ServingError
from serving.cli.model import ModelName, ServerAddress, Trust, read_speaker, speech_client
from serving.client.endpoint import (
    Certificate,
    Key,
    RootCertificate,
    UncertainBelow,
    endpoint_of,
)

if TYPE_CHECKING:
    import numpy as np

    from serving.client.connection import ServerError
    from serving.client.prediction import Prediction
    from serving.client.speech_client import SpeechClient

# Longest recording that a model takes in one piece.
WHOLE_S = 120.0


def predict(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Audio files, or - for live 16-bit mono PCM on standard input."),
    ],
    model: ModelName = None,
    server: ServerAddress = None,
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
    speaker: Annotated[
        Path | None,
        typer.Option(help="A .voice file of `ser enrol`, whose speaker is heard in all files."),
    ] = None,
    uncertain_below: UncertainBelow = 0.0,
    root_certificate: RootCertificate = None,
    certificate: Certificate = None,
    key: Key = None,
    trust: Trust = False,
) -> None:
    """Name the emotion in recordings; a file that fails does not stop the others.

    With live input or --timeline, a model that streams, such as the predictive VRNN, takes the
    audio as one endless recording: each prediction is for all audio from its start. Other models
    predict for each window by itself.
    """
    endpoint = endpoint_of(server, root_certificate, certificate, key)
    errors = []
    options = _options(window_s, hop_s, speaker)
    if endpoint is None and not timeline:
        _check_only_file(sources)
    with speech_client(model, endpoint, trust=trust) as client:
        for source in sources:
            try:
                for prediction in _predictions(client, source, rate, timeline, options):
                    line = _line(source, prediction, as_json, uncertain_below)
                    console.print(line)
            except SerError as error:
                if len(sources) == 1:
                    raise
                errors.append(error)
                error_console.print(str(error))
    if errors:
        raise _together(errors, len(sources))


def _options(window_s: float | None, hop_s: float | None, speaker: Path | None) -> dict[str, Any]:
    """Returns the options of `SpeechClient.timeline`.

    Raises:
        ConfigError: a length that is no number, or a file without statistics.
    """
    for option, seconds in (("--window-s", window_s), ("--hop-s", hop_s)):
        if seconds is not None and not math.isfinite(seconds):
            raise ConfigError(f"{option} {seconds}: expected a number of seconds above 0.")
    return {"window_s": window_s, "hop_s": hop_s, "statistics": read_speaker(speaker)}


def _check_only_file(sources: list[Path]) -> None:
    """Reads the file if it is the only one, since loading a model for it takes seconds.

    Raises:
        AudioError: the recording cannot be used, or holds no speech.
    """
    from ser_keras.audio import SAMPLE_RATE_HZ

    if len(sources) == 1 and str(sources[0]) != "-":
        _whole(sources[0], SAMPLE_RATE_HZ)


def _predictions(
    client: "SpeechClient", source: Path, rate: int, timeline: bool, options: Mapping[str, Any]
) -> Iterator["Prediction"]:
    """Yields the predictions for a file, along a file, or along standard input.

    Args:
        client: of the model.
        source: the file, or "-".
        rate: int. Sampling rate of standard input.
        timeline: bool. Whether to predict along the file.
        options: window_s, hop_s and statistics of `SpeechClient.timeline`.

    Raises:
        AudioError: the recording cannot be used, or holds no speech.
        ServingError: no answer, or a refusal.
    """
    from ser_keras.audio import AudioLimits, audio_blocks, check_raw
    from ser_keras.audio.formats import HEAD_BYTES
    from ser_keras.features.speech import holds_speech
    from serving.client.connection import ServerError

    along = {**options, "is_speech": holds_speech}
    try:
        if str(source) == "-":
            head = cast(BufferedReader, sys.stdin.buffer).peek(HEAD_BYTES)[:HEAD_BYTES]
            check_raw(head, "standard input")
            # One window per call, since the speaker is waiting for the prediction.
            yield from client.timeline(sys.stdin.buffer, rate, batch_size=1, **along)
        elif timeline:
            limits = AudioLimits(max_duration_s=math.inf)
            blocks = audio_blocks(source, sample_rate_hz=client.sample_rate_hz, limits=limits)
            yield from _with_progress(client.timeline(blocks, **along), source)
        else:
            waveform = _whole(source, client.sample_rate_hz)
            yield client.predict(waveform, statistics=options["statistics"])
    except ServerError as error:
        raise _serving_error(source, error) from None


def _whole(source: Path, sample_rate_hz: int) -> "np.ndarray":
    """Returns a recording that is asked for in one piece, float32 (samples,).

    Raises:
        AudioError: it cannot be used, or holds no speech.
    """
    from ser_keras.features.speech import read_speech

    waveform = read_speech(source, sample_rate_hz)
    duration_s = len(waveform) / sample_rate_hz
    if duration_s > WHOLE_S:
        raise AudioError(
            f"{source}: found {duration_s:.1f} s, expected at most {WHOLE_S:g} s in one piece. "
            "Pass --timeline.",
            "too_long",
        )
    return waveform


def _with_progress(predictions: Iterator["Prediction"], source: Path) -> Iterator["Prediction"]:
    """Yields predictions, with a progress bar on the terminal if their lines go into a file."""
    from rich.markup import escape
    from rich.progress import Progress

    from ser_keras.audio import duration_s

    shown = sys.stderr.isatty() and not sys.stdout.isatty()
    bar = Progress(console=error_console, redirect_stdout=False, disable=not shown)
    with bar:
        # Refuses a bad file before a server is asked.
        task = bar.add_task(escape(source.name), total=duration_s(source))
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
    line = f"{source} {start_s:.1f}-{end_s:.1f} s: {prediction.in_words(uncertain_below)}"
    return printable(line, keep="")


def _serving_error(source: Path, error: "ServerError") -> ServingError:
    """Returns why a file has no prediction."""
    return ServingError(f"{source}: {str(error).removeprefix(f'{source}: ')}")


def _together(errors: list[SerError], files: int) -> SerError:
    """Returns the error of the command, with the exit code of what went wrong.

    A server that did not answer weighs more than a recording that cannot be used, and this more
    than one without speech.
    """
    message = f"{len(errors)} of {files} files have no prediction, see above."
    for kind in (ServingError, ConfigError):
        if any(isinstance(error, kind) for error in errors):
            return kind(message)
    silent = all(isinstance(error, NoSpeechError) for error in errors)
    return NoSpeechError(message) if silent else AudioError(message)
