"""What every client does with speech: files, arrays, streams and enrolment, whoever answers.

Needs numpy, soundfile and soxr alone.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from serving.client.audio_blocks import AudioSource, blocks_of, padded, windows_of
from serving.client.connection import ServerError
from serving.client.prediction import ANSWER_OUTPUTS, TRACK, Prediction, no_speech, prediction_of
from serving.client.speaker_statistics import Statistics, enrolment
from serving.client.stream import SIGNATURES, StreamAnswer, StreamSession

# Windows of the timeline of a model that does not stream.
WINDOW_S, HOP_S = 4.0, 2.0
# Recordings of a speaker in one call.
ENROL_BATCH = 8
ADAPTED_SIGNATURES = frozenset({"enrol", "enrol_embedding", "adapted"})


class SpeechClient(ABC):
    """Asks one model about speech. Where the model runs is the matter of the classes below.

    Attributes:
        endpoint: str. Where the model runs, for errors.
        model: str. Its name.
        sample_rate_hz: int. Rate of the model's waveforms; audio is resampled to it.
    """

    endpoint: str
    model: str
    sample_rate_hz: int

    @abstractmethod
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

    @abstractmethod
    def signatures(self) -> frozenset[str]:
        """Returns the names of the model's signatures.

        Raises:
            ServerError: no answer, or a refusal.
        """

    def predict(
        self,
        source: str | Path | np.ndarray,
        sample_rate_hz: int | None = None,
        *,
        maps: bool = False,
        statistics: Statistics | None = None,
    ) -> Prediction:
        """Returns the model's prediction for a whole recording.

        Args:
            source: path of an audio file, or samples (n,) or (n, channels), -1 to 1.
            sample_rate_hz: int. Rate of the samples; the model's when left out.
            maps: bool. Request the attention maps as well.
            statistics: of the speaker, from `enrol`; nothing is known of the speaker when left out.

        Raises:
            ServerError: no answer, or a refusal.
        """
        waveform = self._waveform(source, sample_rate_hz)
        (prediction,) = self.predict_batch([waveform], maps=maps, statistics=statistics)
        return prediction

    def predict_batch(
        self,
        waveforms: Iterable[np.ndarray],
        *,
        maps: bool = False,
        statistics: Statistics | None = None,
    ) -> list[Prediction]:
        """Returns the predictions for waveforms (n,) at the model's rate, requested in one call.

        The waveforms may differ in length; `maps`, `statistics` and the errors are those of
        `predict`. With statistics, all are of one speaker.
        """
        inputs = padded(list(waveforms))
        length = inputs["length"]
        signature, names = "serving_default", list(ANSWER_OUTPUTS)
        if statistics is not None:
            signature, names = "adapted", [*ANSWER_OUTPUTS, TRACK]
            inputs |= statistics.inputs(len(length))
        outputs, version = self.ask(inputs, signature, () if maps else names)
        ends = length / self.sample_rate_hz
        return [
            prediction_of(outputs, row, version, 0.0, float(end)) for row, end in enumerate(ends)
        ]

    def enrol(
        self,
        sources: Iterable[str | Path | np.ndarray],
        sample_rate_hz: int | None = None,
        *,
        known: Statistics | None = None,
    ) -> Statistics:
        """Returns the statistics of a speaker's recordings, for `predict`.

        Every recording is sent twice: statistics of frames and functionals come first, and the
        embeddings are made with them. The server keeps nothing.

        Args:
            sources: recordings of one speaker as in `predict`, each about as long as those to be
                recognised. Half a minute or more of ordinary speech in all; if all of it is in one
                emotion, the model takes that for the speaker's usual voice.
            sample_rate_hz: int. As in `predict`.
            known: statistics of earlier recordings, to which these are added. Frames and
                functionals are as if all had been enrolled at once; embeddings of the earlier
                recordings stay as they were made.

        Raises:
            ServerError: no answer, a refusal, no recordings, or a model without an adapted track.
            StatisticsError: the server has loaded another model since.
        """
        if not self.adapts():
            raise ServerError(
                f"{self.endpoint}, model {self.model}: has no adapted track; it takes no enrolment."
                " Serve a model that was trained with normalizer: speaker.",
                "FAILED_PRECONDITION",
            )
        waveforms = [self._waveform(source, sample_rate_hz) for source in sources]
        if not waveforms:
            raise ServerError("enrol: found no recordings, expected one or more.", "NOT_FOUND")
        waveforms.sort(key=len)  # the less padding, the faster
        batches = [
            padded(waveforms[start:][:ENROL_BATCH])
            for start in range(0, len(waveforms), ENROL_BATCH)
        ]
        return enrolment(self.ask, batches, known)

    def adapts(self) -> bool:
        """Tells whether the model has an adapted track: whether it takes enrolment.

        Raises:
            ServerError: no answer, or a refusal.
        """
        return self.signatures() >= ADAPTED_SIGNATURES

    def _waveform(self, source: str | Path | np.ndarray, sample_rate_hz: int | None) -> np.ndarray:
        """Returns a whole recording at the model's rate, (n,) float32."""
        blocks = [np.zeros(0, np.float32), *self._blocks(source, sample_rate_hz)]
        waveform = np.concatenate(blocks)
        if not len(waveform):
            raise ServerError("audio: has no samples.", "INVALID_ARGUMENT")
        return waveform

    def timeline(
        self,
        source: AudioSource,
        sample_rate_hz: int | None = None,
        *,
        window_s: float | None = None,
        hop_s: float | None = None,
        batch_size: int = 8,
        maps: bool = False,
        statistics: Statistics | None = None,
        is_speech: Callable[[np.ndarray], bool] = lambda window: True,
    ) -> Iterator[Prediction]:
        """Yields predictions along a recording of any length.

        A model that streams (`streams`) takes the recording as one sequence: each prediction is for
        all audio from the start to its end, and the last one for the whole recording. Another model
        takes windows, each by itself: one starts every `hop_s`, and the last one ends with the
        recording. Files and streams are read block by block, so that hours need no more memory than
        minutes.

        Args:
            source: as in `predict`, an iterator of blocks (n,) at the client's rate, or an open
                binary stream of 16-bit little-endian mono samples,
                such as a microphone's; with `batch_size=1`, predictions come while it runs.
            sample_rate_hz: int. Rate of the samples or the stream; the model's when left out.
            window_s: float. Length of a window, 4 s when left out; a model that streams has its
                own.
            hop_s: float. Distance between the starts of two windows, 2 s when left out. Where the
                model streams, time between two predictions, in whole steps; one step when left out.
            batch_size: int. Windows per call.
            maps: bool. As in `predict`.
            statistics: as in `predict`, for windows of one speaker.
            is_speech: tells of a window (n,) whether there is speech in it. The model is not asked
                for windows without; their label is `no speech found`. Not used where the model
                streams.

        Raises:
            ServerError: no answer, a refusal, or a source without samples.
        """
        if isinstance(source, (str, Path)):
            _require_file(source)
        if statistics is None and self.streams():
            predictions = self._streamed(source, sample_rate_hz, hop_s, maps)
        else:
            rate = self.sample_rate_hz
            size, hop = (round(s * rate) for s in (window_s or WINDOW_S, hop_s or HOP_S))
            windows = windows_of(self._blocks(source, sample_rate_hz), size, hop)
            predictions = self._windowed(windows, batch_size, maps, statistics, is_speech)
        empty = True
        for prediction in predictions:
            empty = False
            yield prediction
        if empty:
            raise ServerError("audio: has no samples.", "INVALID_ARGUMENT")

    def session(self, *, hop_s: float | None = None, maps: bool = False) -> StreamSession:
        """Returns a session that takes a stream block by block, as one recording.

        Args:
            hop_s: float. As in `timeline`.
            maps: bool. As in `timeline`.

        Raises:
            ServerError: no answer, or the model does not stream, see `streams`.
        """
        return StreamSession(self.ask, hop_s=hop_s, maps=maps)

    def streams(self) -> bool:
        """Tells whether the model takes a recording as one endless sequence.

        Raises:
            ServerError: no answer, or a refusal.
        """
        return self.signatures() >= SIGNATURES

    def _windowed(
        self,
        windows: Iterator[tuple[int, np.ndarray]],
        batch_size: int,
        maps: bool,
        statistics: Statistics | None,
        is_speech: Callable[[np.ndarray], bool],
    ) -> Iterator[Prediction]:
        """Yields the predictions for windows, each of which comes with its first sample."""
        rate = self.sample_rate_hz
        while batch := list(itertools.islice(windows, batch_size)):
            spoken = [is_speech(waveform) for _, waveform in batch]
            waveforms = [
                waveform for (_, waveform), speech in zip(batch, spoken, strict=True) if speech
            ]
            answers = (
                self.predict_batch(waveforms, maps=maps, statistics=statistics) if waveforms else []
            )
            predictions = iter(answers)
            for (start, waveform), speech in zip(batch, spoken, strict=True):
                start_s, end_s = start / rate, (start + len(waveform)) / rate
                if speech:
                    yield replace(next(predictions), start_s=start_s, end_s=end_s)
                else:
                    yield no_speech(start_s, end_s)

    def _streamed(
        self, source: AudioSource, sample_rate_hz: int | None, hop_s: float | None, maps: bool
    ) -> Iterator[Prediction]:
        session = self.session(hop_s=hop_s, maps=maps)
        rate = session.sample_rate_hz

        def prediction(answer: StreamAnswer) -> Prediction:
            return prediction_of(answer.outputs, 0, answer.version, 0.0, answer.end / rate)

        for block in self._blocks(source, sample_rate_hz, rate):
            yield from map(prediction, session.push(block))
        yield from map(prediction, session.finish())

    def _blocks(
        self, source: AudioSource, sample_rate_hz: int | None, target_hz: int | None = None
    ) -> Iterator[np.ndarray]:
        """Yields the source as mono blocks at a rate, the client's when left out."""
        if isinstance(source, (str, Path)):
            _require_file(source)
        target_hz = target_hz or self.sample_rate_hz
        yield from blocks_of(source, sample_rate_hz or target_hz, target_hz)


def _require_file(path: str | Path) -> None:
    if not Path(path).is_file():
        raise ServerError("found no file there.", "NOT_FOUND")
