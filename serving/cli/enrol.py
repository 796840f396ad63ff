"""The verb that measures a voice, so that a model can adapt to it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ser_keras.cli.console import console
from ser_keras.errors import AudioError, ConfigError, SerError
from ser_keras.files import plain_name
from serving.cli.model import ModelName, ServerAddress, Trust, read_speaker, speech_client
from serving.client.endpoint import Certificate, Key, RootCertificate, endpoint_of

if TYPE_CHECKING:
    import numpy as np

SUFFIX = ".voice"
ENOUGH_S = 30.0


def enrol(
    name: Annotated[
        str, typer.Argument(help="Name of the speaker; the file is called NAME.voice.")
    ],
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="Recordings of this one voice: half a minute or more of ordinary speech, recorded "
            "with the microphone that will be used later."
        ),
    ],
    model: ModelName = None,
    server: ServerAddress = None,
    add: Annotated[
        bool, typer.Option(help="Add the recordings to the voice that the file holds.")
    ] = False,
    output: Annotated[Path, typer.Option(help="Folder of the file.")] = Path(),
    root_certificate: RootCertificate = None,
    certificate: Certificate = None,
    key: Key = None,
    trust: Trust = False,
) -> None:
    """Measure a voice without any labels, so that a model can adapt to it.

    The file holds means and deviations of the voice, no sound. It describes a person: keep it as
    you would keep the recordings. `ser predict --speaker` takes it.
    """
    from serving.client.connection import ServerError
    from serving.client.speaker_statistics import StatisticsError

    path = output / f"{plain_name(name, 'enrol')}{SUFFIX}"
    if path.exists() and not add:
        raise ConfigError(
            f"{path}: is there already. Pass --add to add these recordings to it, or remove it."
        )
    known = read_speaker(path) if add else None
    endpoint = endpoint_of(server, root_certificate, certificate, key)
    with speech_client(model, endpoint, trust=trust) as client:
        waveforms, errors = _speech(sources, client.sample_rate_hz)
        for error in errors:
            console.print("left out ", style="yellow", end="")
            console.print(str(error))
        if not waveforms:
            raise AudioError(f"enrol {name}: none of the {len(sources)} files can be used.")
        try:
            with console.status("measuring the voice"):
                statistics = client.enrol(waveforms, known=known)
        except (ServerError, StatisticsError) as error:
            raise ConfigError(f"enrol {name}: {error}") from None
        seconds = sum(map(len, waveforms)) / client.sample_rate_hz
    path.parent.mkdir(parents=True, exist_ok=True)
    statistics.write(path)
    console.print(f"{path}: {seconds:.1f} s of {len(waveforms)} recordings")
    if seconds < ENOUGH_S and not add:
        console.print(
            f"[yellow]{seconds:.0f} s are little[/]: give {ENOUGH_S:g} s or more of ordinary "
            "speech, for a single mood would be taken for the usual voice",
            markup=True,
        )


def _speech(sources: list[Path], rate_hz: int) -> tuple[list["np.ndarray"], list[SerError]]:
    """Returns the recordings with speech at a rate, (samples,) each, and why others have none."""
    from ser_keras.features.speech import read_speech

    waveforms, errors = [], []
    for source in sources:
        try:
            waveforms.append(read_speech(source, rate_hz))
        except SerError as error:
            errors.append(error)
    return waveforms, errors
