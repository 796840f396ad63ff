"""The predictions of a model along a recording of any length, for the page."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ser_keras.errors import AudioError
from serving.client.client import SerClient
from serving.client.prediction import Prediction

WINDOW_S = 4.0
HOP_S = 2.0
# Longest recording that is sent in one piece; a longer one might exceed the size of a request.
WHOLE_S = 30.0
LONGEST_S = 2 * 3600.0

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
            of `overall` are the mean over the windows.
        windows: tuple of predictions, in the order of time.
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
    client: SerClient,
    path: Path,
    report_progress: ReportProgress = lambda share, text: None,
    uncertain_below: float = 0.0,
) -> Recognition:
    """Returns the predictions of a model for a recording of any length.

    The recording is read block by block: an hour needs hardly more memory than a minute. A model
    that streams takes it as one, however long it is.

    Args:
        client: client of the model.
        path: path of the recording.
        report_progress: called with the share that is done and a sentence.
        uncertain_below: float. See `Recognition`.

    Raises:
        AudioError: the file is no recording that can be read, or it is too long.
        ServerError: the server does not answer, or refuses.
    """
    duration_s = _duration_s(path)
    windows: list[Prediction] = []
    streamed = client.streams()
    try:
        for prediction in client.timeline(path, window_s=WINDOW_S, hop_s=HOP_S):
            # The page shows a step with the audio shortly before it.
            end_s = prediction.end_s
            start_s = max(0.0, end_s - WINDOW_S) if streamed else prediction.start_s
            windows.append(replace(prediction, start_s=start_s))
            share = min(1.0, end_s / duration_s)
            report_progress(share, f"analysed {clock(end_s)} of {clock(duration_s)}")
        if not windows:
            raise _unreadable(path, "has no samples", "empty")
        whole = streamed or duration_s <= WHOLE_S
        if streamed:
            overall = replace(windows[-1], start_s=0.0)
        else:
            overall = client.predict(path) if whole else _mean(windows)
    except soundfile.LibsndfileError as error:
        raise _unreadable(path, str(error), "truncated") from None
    return Recognition(
        path, client.model, duration_s, overall, whole, tuple(windows), uncertain_below, streamed
    )


def samples_of(path: Path, start_s: float, end_s: float, sample_rate_hz: int) -> np.ndarray:
    """Returns a part of a recording, mono (n,), without reading the rest of it.

    Raises:
        AudioError: the recording has been deleted.
    """
    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            file.seek(min(round(start_s * rate), file.frames))
            samples = file.read(round((end_s - start_s) * rate), dtype=np.float32, always_2d=True)
    except soundfile.LibsndfileError:
        raise AudioError(
            f"{path.name}: was deleted; uploads are deleted after an hour. Choose the file again.",
            "missing",
        ) from None
    return soxr.resample(samples.mean(axis=1), rate, sample_rate_hz)


def clock(seconds: float) -> str:
    """Returns a time as minutes and seconds, from an hour on with hours.

    Example:
        >>> clock(62.5), clock(3723)
        ('1:02', '1:02:03')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _duration_s(path: Path) -> float:
    try:
        info = soundfile.info(path)
    except soundfile.LibsndfileError:
        raise _unreadable(path, "is no audio file that can be read", "not_audio") from None
    if not info.frames:
        raise _unreadable(path, "has no samples", "empty")
    duration_s = info.frames / info.samplerate
    if duration_s > LONGEST_S:
        raise AudioError(
            f"{path.name}: is {clock(duration_s)} h long, expected at most {clock(LONGEST_S)}. Cut "
            "it, or use ser predict --timeline, which has no limit.",
            "too_long",
        )
    return duration_s


def _unreadable(path: Path, reason: str, kind: str) -> AudioError:
    return AudioError(
        f"{path.name}: {reason}; expected speech as WAV, FLAC, Ogg or MP3. Save it in one of these "
        "formats and try again.",
        kind,
    )


def _mean(windows: list[Prediction]) -> Prediction:
    """Returns the prediction for all windows together: the mean of their probabilities."""
    probabilities = {
        name: float(np.mean([window.probabilities[name] for window in windows]))
        for name in windows[0].probabilities
    }
    label = max(probabilities, key=lambda name: probabilities[name])
    return replace(windows[-1], label=label, probabilities=probabilities, start_s=0.0)
