"""A client of TensorFlow Serving for speech: predict a file, an array, or hours of audio.

Needs grpcio, protobuf, numpy, soundfile and soxr; neither TensorFlow nor Keras nor the rest of this
project, so that it starts in a moment and can be copied into a service.
"""

import itertools
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from serving.client import messages
from serving.client.audio_blocks import Source, blocks_of, windows_of
from serving.client.prediction import ANSWER_OUTPUTS, Prediction, prediction_of
from serving.client.stream import SIGNATURES, StreamSession

SAMPLE_RATE_HZ = 16000
MAX_MESSAGE_BYTES = 64 * 2**20
# Of the timeline of a model that does not stream.
WINDOW_S, HOP_S = 4.0, 2.0
# Asking twice changes nothing on the server, so what was not answered may be asked again.
_RETRY = {
    "methodConfig": [
        {
            "name": [
                {"service": "tensorflow.serving.PredictionService"},
                {"service": "tensorflow.serving.ModelService"},
            ],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


class ServerError(Exception):
    """The server refused or could not be asked. `code` is gRPC's, such as `"NOT_FOUND"`."""

    def __init__(self, message: str, code: str):
        super().__init__(message)
        self.code = code


class SerClient:
    """Asks one model of a server.

    Args:
        endpoint: str. `host:port` of the server's gRPC.
        model: str. Name of the model on the server.
        version: int or None. None asks the newest.
        timeout_s: float. Deadline of each call, retries included.
        sample_rate_hz: int. Rate of the model's waveforms; audio is resampled to it.
        root_certificate: path of a PEM file, for TLS; None speaks in the clear.
        certificate, key: paths of PEM files that show who the client is, for mutual TLS.

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
        self.endpoint, self.model, self.version = endpoint, model, version
        self.timeout_s, self.sample_rate_hz = timeout_s, sample_rate_hz
        options = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.service_config", json.dumps(_RETRY)),
        ]
        if root_certificate is None:
            self.channel = grpc.insecure_channel(endpoint, options)
        else:
            parts = [Path(p).read_bytes() if p else None for p in (key, certificate)]
            trust = grpc.ssl_channel_credentials(Path(root_certificate).read_bytes(), *parts)
            self.channel = grpc.secure_channel(endpoint, trust, options)
        self._predict = self._method(messages.PREDICT, messages.PredictResponse)
        self._status = self._method(messages.GET_MODEL_STATUS, messages.GetModelStatusResponse)
        self._metadata = self._method(
            messages.GET_MODEL_METADATA, messages.GetModelMetadataResponse
        )

    def __enter__(self) -> "SerClient":
        return self

    def __exit__(self, *error: object) -> None:
        self.channel.close()

    def predict(
        self,
        source: str | Path | np.ndarray,
        sample_rate_hz: int | None = None,
        *,
        maps: bool = False,
    ) -> Prediction:
        """Returns what the model says of a whole recording.

        Args:
            source: path of an audio file, or samples (n,) or (n, channels), -1 to 1.
            sample_rate_hz: int. Rate of the samples; the model's when left out.
            maps: bool. Ask for the maps of attention, too.

        Raises:
            ServerError: no answer, or a refusal.
        """
        blocks = [np.zeros(0, np.float32), *self._blocks(source, sample_rate_hz)]
        waveform = np.concatenate(blocks)
        if not len(waveform):
            raise _empty(source)
        (prediction,) = self.predict_batch([waveform], maps=maps)
        return prediction

    def predict_batch(
        self, waveforms: Iterable[np.ndarray], *, maps: bool = False
    ) -> list[Prediction]:
        """Returns the predictions of waveforms (n,) at the model's rate, asked in one call.

        The waveforms may differ in length; `maps` and what is raised are as of `predict`.
        """
        waveforms = list(waveforms)
        most = max(map(len, waveforms))
        batch = np.zeros((len(waveforms), most), np.float32)
        for row, waveform in zip(batch, waveforms, strict=True):
            row[: len(waveform)] = waveform
        length = np.array([len(waveform) for waveform in waveforms], np.int32)
        inputs = {"waveform": batch, "length": length}
        outputs, version = self.ask(inputs, outputs=() if maps else ANSWER_OUTPUTS)
        ends = length / self.sample_rate_hz
        return [
            prediction_of(outputs, row, version, 0.0, float(end)) for row, end in enumerate(ends)
        ]

    def timeline(
        self,
        source: Source,
        sample_rate_hz: int | None = None,
        *,
        window_s: float | None = None,
        hop_s: float | None = None,
        batch_size: int = 8,
        maps: bool = False,
    ) -> Iterator[Prediction]:
        """Yields predictions along a recording of any length, as the model hears it.

        A model that streams (`streams`) hears the recording as one, from its start: every
        prediction is that of all audio up to its end, and the last one that of the whole. Another
        model hears windows, each for itself: one starts every `hop_s`, and the last one ends with
        the recording. Files and streams are read block by block, so that hours need no more memory
        than minutes.

        Args:
            source: as in `predict`, or an open binary stream of 16-bit little-endian mono samples,
                such as a microphone's; with `batch_size=1`, predictions come as it goes on.
            sample_rate_hz: int. Rate of the samples or the stream; the model's when left out.
            window_s: float. Length of a window, 4 s when left out; a model that streams has its
                own.
            hop_s: float. Distance between the starts of two windows, 2 s when left out. Where the
                model streams, time between two predictions, in whole steps; one step when left out.
            batch_size: int. Windows per call.
            maps: bool. As in `predict`.

        Raises:
            ServerError: no answer, a refusal, or a source without samples.
        """
        if isinstance(source, (str, Path)):
            _there(source)
        if self.streams():
            predictions = self._streamed(source, sample_rate_hz, hop_s, maps)
        else:
            rate = self.sample_rate_hz
            size, hop = (round(s * rate) for s in (window_s or WINDOW_S, hop_s or HOP_S))
            windows = windows_of(self._blocks(source, sample_rate_hz), size, hop)
            predictions = self._windowed(windows, batch_size, maps)
        nothing = True
        for prediction in predictions:
            nothing = False
            yield prediction
        if nothing:
            raise _empty(source)

    def session(self, *, hop_s: float | None = None, maps: bool = False) -> StreamSession:
        """Returns what hears a stream as one recording, block by block.

        Args:
            hop_s: float. As in `timeline`.
            maps: bool. As in `timeline`.

        Raises:
            ServerError: no answer, or the model does not stream, see `streams`.
        """
        return StreamSession(self.ask, hop_s=hop_s, maps=maps)

    def streams(self) -> bool:
        """Tells whether the model hears a recording as one endless sequence.

        Raises:
            ServerError: no answer, or a refusal.
        """
        return self.signatures() >= SIGNATURES

    def signatures(self) -> frozenset[str]:
        """Returns the names of the model's signatures.

        Raises:
            ServerError: no answer, or a refusal.
        """
        request = messages.GetModelMetadataRequest()
        self._name(request.model_spec)
        request.metadata_field.append("signature_def")
        packed = self._call(self._metadata, request).metadata["signature_def"].value
        return frozenset(messages.SignatureDefMap.FromString(packed).signature_def)

    def ask(
        self,
        inputs: Mapping[str, np.ndarray],
        signature: str = "serving_default",
        outputs: Iterable[str] = (),
    ) -> tuple[dict[str, np.ndarray], int]:
        """Returns (outputs of a signature by name, the version that answered).

        Args:
            inputs: mapping of the signature's inputs to arrays.
            signature: str.
            outputs: which outputs; all when left out.

        Raises:
            ServerError: no answer, or a refusal.
        """
        response = self._call(self._predict, self.request_of(inputs, signature, outputs))
        found = {name: messages.array_of(value) for name, value in response.outputs.items()}
        return found, response.model_spec.version.value

    def request_of(
        self,
        inputs: Mapping[str, np.ndarray],
        signature: str = "serving_default",
        outputs: Iterable[str] = (),
    ) -> Any:
        """Returns the PredictRequest that `ask` sends."""
        request = messages.PredictRequest()
        self._name(request.model_spec)
        request.model_spec.signature_name = signature
        request.output_filter.extend(outputs)
        for name, values in inputs.items():
            messages.fill_tensor(request.inputs[name], values)
        return request

    def wait_until_available(self, timeout_s: float = 60.0) -> int:
        """Waits for the model to be served; returns its newest available version.

        Raises:
            ServerError: it is not served in time.
        """
        ends = time.monotonic() + timeout_s
        while True:
            try:
                request = messages.GetModelStatusRequest()
                self._name(request.model_spec)
                found = self._call(self._status, request).model_version_status
                if ready := [v.version for v in found if v.state == messages.AVAILABLE]:
                    return max(ready)
                error = ServerError(f"{self.endpoint}: {self.model} has no version ready.", "NONE")
            except ServerError as refused:
                error = refused
            if time.monotonic() > ends:
                raise error
            time.sleep(0.2)

    def _windowed(
        self, windows: Iterator[tuple[int, np.ndarray]], batch_size: int, maps: bool
    ) -> Iterator[Prediction]:
        while batch := list(itertools.islice(windows, batch_size)):
            yield from self._placed(batch, maps)

    def _placed(self, windows: list[tuple[int, np.ndarray]], maps: bool) -> Iterator[Prediction]:
        rate = self.sample_rate_hz
        predictions = self.predict_batch((waveform for _, waveform in windows), maps=maps)
        for (start, waveform), said in zip(windows, predictions, strict=True):
            ends = (start + len(waveform)) / rate
            yield replace(said, start_s=start / rate, end_s=ends)

    def _streamed(
        self, source: Source, sample_rate_hz: int | None, hop_s: float | None, maps: bool
    ) -> Iterator[Prediction]:
        session = self.session(hop_s=hop_s, maps=maps)
        rate = session.sample_rate_hz
        for block in self._blocks(source, sample_rate_hz, rate):
            for heard in session.push(block):
                yield prediction_of(heard.outputs, 0, heard.version, 0.0, heard.end / rate)
        for heard in session.finish():
            yield prediction_of(heard.outputs, 0, heard.version, 0.0, heard.end / rate)

    def _blocks(
        self, source: Source, sample_rate_hz: int | None, wanted_hz: int | None = None
    ) -> Iterator[np.ndarray]:
        """Yields the source as mono blocks at a rate, the client's when left out."""
        if isinstance(source, (str, Path)):
            _there(source)
        wanted_hz = wanted_hz or self.sample_rate_hz
        yield from blocks_of(source, sample_rate_hz or wanted_hz, wanted_hz)

    def _name(self, spec: Any) -> None:
        spec.name = self.model
        if self.version is not None:
            spec.version.value = self.version

    def _method(self, path: str, response: Any) -> Any:
        return self.channel.unary_unary(
            path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString,
        )

    def _call(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=self.timeout_s)
        except grpc.RpcError as error:
            raise ServerError(
                f"{self.endpoint}, model {self.model}: {error.code().name}: {error.details()}",
                error.code().name,
            ) from None


def _empty(source: Source) -> ServerError:
    name = source if isinstance(source, (str, Path)) else "audio"
    return ServerError(f"{name}: has no samples.", "INVALID_ARGUMENT")


def _there(path: str | Path) -> None:
    if not Path(path).is_file():
        raise ServerError("found no file there.", "NOT_FOUND")
