"""The predictions of a model along a recording of any length, for the page."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ser_keras.audio import AudioLimits, audio_blocks, duration_s, read_audio
from ser_keras.errors import AudioError
from ser_keras.features.speech import holds_speech, no_speech_error, refusal_of
from serving.client.prediction import Prediction
from serving.client.speaker_statistics import Statistics
from serving.client.speech_client import SpeechClient

WINDOW_S = 4.0
HOP_S = 2.0
# Longest recording that is sent in one piece; a longer one might exceed the size of a request.
WHOLE_S = 30.0
LONGEST_S = 2 * 3600.0
LIMITS = AudioLimits(max_duration_s=LONGEST_S)

ReportProgress = Callable[[float, str], None]


@dataclass(frozen=True)
class Recognition:
    """The predictions of a model for a recording.

    Args:
        path: Path of the recording.
        model: str. Name of the model on the server.
        duration_s: float. Length of the recording.
        overall: Prediction for the whole recording.
        whole: bool. Whether the model got the recording in one piece; otherwise the probabilities
            of `overall` are the mean over the windows with speech.
        windows: tuple of predictions, in the order of time; without probabilities where there is no
            speech.
        uncertain_below: float. If no class has this probability, the answer is `uncertain`.
        streamed: bool. Whether the model keeps its state from window to window: then the prediction
            of a window is that of the recording up to its end.
    """

    path: Path
    model: str
    duration_s: float
    overall: Prediction
    whole: bool
    windows: tuple[Prediction, ...]
    uncertain_below: float = 0.0
    streamed: bool = False

    def window_at(self, time_s: float) -> int:
        """Returns the number of the window whose middle is nearest to a time."""
        middles = [(window.start_s + window.end_s) / 2 for window in self.windows]
        return int(np.argmin(np.abs(np.array(middles) - time_s)))


def recognize(
    client: SpeechClient,
    path: Path,
    report_progress: ReportProgress = lambda share, text: None,
    uncertain_below: float = 0.0,
    statistics: Statistics | None = None,
) -> Recognition:
    """Returns the predictions of a model for a recording of any length.

    The recording is read block by block: an hour needs hardly more memory than a minute. A model
    that streams takes it as one, however long it is.

    Args:
        client: client of the model.
        path: path of the recording.
        report_progress: called with the share that is done and a sentence.
        uncertain_below: float. See `Recognition`.
        statistics: of the speaker, from `SpeechClient.enrol`; nothing is known when left out.

    Raises:
        AudioError: the file is no recording that can be read, it is too long, or there is no
            speech in it.
        ServerError: the server does not answer, or refuses.
    """
    windows: list[Prediction] = []
    streamed = statistics is None and client.streams()
    with named(path):
        stated_s = duration_s(path)
        blocks = audio_blocks(path, sample_rate_hz=client.sample_rate_hz, limits=LIMITS)
        for prediction in client.timeline(
            blocks, window_s=WINDOW_S, hop_s=HOP_S, statistics=statistics, is_speech=holds_speech
        ):
            # The page shows a step with the audio shortly before it.
            end_s = prediction.end_s
            start_s = max(0.0, end_s - WINDOW_S) if streamed else prediction.start_s
            windows.append(replace(prediction, start_s=start_s))
            share = min(1.0, end_s / stated_s) if stated_s else 0.5
            report_progress(share, f"analysed {clock(end_s)}{_of(stated_s)}")
        length_s = windows[-1].end_s
        spoken = [window for window in windows if window.probabilities]
        if not spoken:
            raise no_speech_error(path.name, length_s)
        whole = streamed or length_s <= WHOLE_S
        if streamed:
            overall = replace(windows[-1], start_s=0.0)
        elif whole:
            waveform = read_audio(path, sample_rate_hz=client.sample_rate_hz, limits=LIMITS)
            overall = client.predict(waveform, statistics=statistics)
        else:
            overall = _mean(spoken, length_s)
    return Recognition(
        path, client.model, length_s, overall, whole, tuple(windows), uncertain_below, streamed
    )


def samples_of(path: Path, start_s: float, end_s: float, sample_rate_hz: int) -> np.ndarray:
    """Returns a part of a recording, mono (n,), in memory that does not grow with the whole.

    Raises:
        AudioError: the recording has been deleted.
    """
    if not path.is_file():
        raise AudioError(
            f"{path.name}: was deleted; uploads are deleted after an hour. Choose the file again.",
            "missing",
        )
    start, end = (round(time_s * sample_rate_hz) for time_s in (start_s, end_s))
    parts, position = [np.zeros(0, np.float32)], 0
    with named(path):
        for block in audio_blocks(path, sample_rate_hz=sample_rate_hz, limits=LIMITS):
            parts.append(block[max(0, start - position) : max(0, end - position)])
            position += len(block)
            if position >= end:
                break
    return np.concatenate(parts)


def clock(seconds: float) -> str:
    """Returns a time as minutes and seconds, from an hour on with hours.

    Example:
        >>> clock(62.5), clock(3723)
        ('1:02', '1:02:03')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _of(length_s: float | None) -> str:
    return f" of {clock(length_s)}" if length_s else ""


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Leaves the folder, which is none of the user's, out of errors about a recording."""
    try:
        yield
    except AudioError as raised:
        error = refusal_of(raised, path)
        message = str(error).replace(str(path), path.name)
        raise (type(error))(message, error.kind) from None


def _mean(windows: list[Prediction], end_s: float) -> Prediction:
    """Returns the prediction for a recording until `end_s`: the mean over windows of it."""
    probabilities = {
        name: float(np.mean([window.probabilities[name] for window in windows]))
        for name in windows[0].probabilities
    }
    label = max(probabilities, key=lambda name: probabilities[name])
    return replace(windows[-1], label=label, probabilities=probabilities, start_s=0.0, end_s=end_s)
