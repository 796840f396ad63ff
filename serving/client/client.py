"""A client of TensorFlow Serving for speech: predict a file, an array, or hours of audio.

Needs grpcio, protobuf, numpy, soundfile and soxr, but neither TensorFlow nor Keras nor the rest of
this project, so that it starts at once and can be copied into a service.
"""

from pathlib import Path

from serving.client.connection import ModelConnection
from serving.client.speech_client import SpeechClient

SAMPLE_RATE_HZ = 16000


class SerClient(ModelConnection, SpeechClient):
    """Asks one model of a server about speech.

    Args:
        endpoint: str. `host:port` of the server's gRPC.
        model: str. Name of the model on the server.
        version: int or None. None asks the newest.
        timeout_s: float. Deadline of each call, retries included.
        sample_rate_hz: int. Rate of the model's waveforms; audio is resampled to it.
        root_certificate: path of a PEM file, for TLS; None connects without encryption.
        certificate, key: paths of PEM files that identify the client, for mutual TLS.

    Example:
        >>> SerClient("localhost:8500", "moma").model
        'moma'
    """

    def __init__(
        self,
        endpoint: str,
        model: str,
        *,
        version: int | None = None,
        timeout_s: float = 30.0,
        sample_rate_hz: int = SAMPLE_RATE_HZ,
        root_certificate: str | Path | None = None,
        certificate: str | Path | None = None,
        key: str | Path | None = None,
    ):
        super().__init__(
            endpoint,
            model,
            version=version,
            timeout_s=timeout_s,
            root_certificate=root_certificate,
            certificate=certificate,
            key=key,
        )
        self.sample_rate_hz = sample_rate_hz
