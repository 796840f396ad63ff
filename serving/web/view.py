"""The texts and pictures of the page of `ser web`.

`serving.web.page` arranges them. Nothing here needs gradio, a browser or TensorFlow.
"""

import base64
import html
import io
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from ser_keras.errors import SerError
from ser_keras.plots.attention_spectrogram import draw_attention_spectrogram
from ser_keras.plots.explanation import Explanation
from ser_keras.plots.timeline import emotion_timeline
from serving.client.client import SerClient
from serving.client.connection import ServerError
from serving.client.prediction import UNCERTAIN, Prediction
from serving.explain.described_export import open_export
from serving.explain.explain import explain
from serving.explain.signature_runners import client_signatures
from serving.web.local_server import Published
from serving.web.model_facts import card, description, facts
from serving.web.recognition import Recognition, clock, samples_of
from serving.web.texts import NARROWEST_PX, WIDEST_PX
from serving.web.voice import Voice


@dataclass(frozen=True)
class Models:
    """The models that the page offers.

    Args:
        clients: mapping of model to its client, in the order of the list.
        exports: mapping of model to its files, for those on this machine.
    """

    clients: Mapping[str, SerClient]
    exports: Mapping[str, Published]

    def about(self, model: str) -> tuple[str, str]:
        """Returns (the training data and score of a model, its card), both as HTML."""
        export = self.exports.get(model)
        return facts(model, export), card(export) or "<p>This model has no card here.</p>"

    def window(
        self, recognition: Recognition, number: int, width_px: int, play: bool = False
    ) -> tuple[str, Image.Image, str]:
        """Returns (HTML of a player, spectrogram with attention, a sentence) for one window.

        Args:
            recognition: predictions for the recording.
            number: number of the window.
            width_px: width at which the picture is shown.
            play: whether the player starts at once.

        Raises:
            AudioError: the recording has been deleted.
        """
        window, client = recognition.windows[number], self.clients[recognition.model]
        waveform = samples_of(recognition.path, window.start_s, window.end_s, client.sample_rate_hz)
        explanation, note = self._explained(recognition.model, waveform, window.start_s)
        picture, _ = _drawn(
            lambda path: draw_attention_spectrogram(
                waveform, path, start_s=window.start_s, explanation=explanation, width_px=width_px
            )
        )
        part = f"the first {clock(window.end_s)}" if recognition.streamed else "this window"
        answer = window.in_words(recognition.uncertain_below)
        words = f"{recognition.model} says of {part}: {answer}.{note}"
        return player(waveform, client.sample_rate_hz, play), picture, words

    def _explained(
        self, model: str, waveform: np.ndarray, start_s: float
    ) -> tuple[Explanation | None, str]:
        """Returns (the attention of the model, a note), one of which is empty."""
        export = self.exports.get(model)
        if export is None or description(export) is None:
            return None, " Its attention is not known without its export."
        run = client_signatures(self.clients[model])
        try:
            described_export = open_export(export.newest)
            explanation = explain(described_export, run, waveform, source=model, start_s=start_s)
        except (SerError, ServerError) as error:
            return None, f" Its attention is not known: {error}"
        return explanation, ""


@dataclass(frozen=True)
class View:
    """The predictions for a recording, and the position of the time axis in their picture.

    Args:
        recognition: the predictions.
        marked: int. Number of the window that is marked.
        left_px, right_px: float. Columns of the picture where the recording begins and ends.
    """

    recognition: Recognition
    marked: int
    left_px: float
    right_px: float

    def window_at(self, x_px: float) -> int:
        """Returns the number of the window at a column of the picture."""
        share = (x_px - self.left_px) / (self.right_px - self.left_px)
        return self.recognition.window_at(share * self.recognition.duration_s)


def timeline_view(recognition: Recognition, marked: int, width_px: int) -> tuple[View, Image.Image]:
    """Returns a view of the emotions over time and its picture, with one window marked.

    Args:
        recognition: predictions for the recording.
        marked: number of the window.
        width_px: width at which the picture is shown.
    """
    windows, limit = recognition.windows, recognition.uncertain_below
    middles = np.array([(window.start_s + window.end_s) / 2 for window in windows])
    edges = np.concatenate([[0.0], (middles[1:] + middles[:-1]) / 2, [recognition.duration_s]])
    classes = list(recognition.overall.probabilities)
    # Where no speech was found, the picture is empty.
    probabilities = [
        [window.probabilities.get(name, np.nan) for name in classes] for window in windows
    ]
    uncertain = np.array([window.answer(limit) == UNCERTAIN for window in windows])
    picture, (left, right) = _drawn(
        lambda path: emotion_timeline(
            classes,
            edges,
            np.array(probabilities),
            path,
            width_px=width_px,
            marked=marked,
            # Without a limit no answer is uncertain, and the picture has no row for it.
            uncertain=uncertain if limit else None,
        )
    )
    return View(recognition, marked, left * picture.width, right * picture.width), picture


def picture_width(width_px: float | None) -> int:
    """Returns the width of pictures for the width that a browser has sent, which may be anything.

    Example:
        >>> picture_width(390.5), picture_width(float("nan")), picture_width(None)
        (390, 794, 794)
    """
    if not isinstance(width_px, int | float) or not math.isfinite(width_px):
        return WIDEST_PX
    return int(min(max(width_px, NARROWEST_PX), WIDEST_PX))


def summary(recognition: Recognition) -> str:
    """Returns HTML with the prediction for the whole recording: a sentence and bars."""
    windows = f"the mean of {len(recognition.windows)} windows"
    how = "analysed in one piece" if recognition.whole else windows
    if recognition.overall.track == "adapted":
        how += ", by what the model knows of this voice"
    bars = "".join(
        f"<li><span>{html.escape(name)}</span><span>{100 * share:.0f} %</span>"
        f'<i style="width:{100 * share:.1f}%"></i></li>'
        for name, share in recognition.overall.likeliest
    )
    answer = recognition.overall.answer(recognition.uncertain_below)
    model, label, answer = map(html.escape, (recognition.model, recognition.overall.label, answer))
    doubt = "" if answer == label else f", {label} is only the likeliest"
    return (
        f'<p role="status">{model} says: <strong>{answer}</strong>{doubt}. The whole recording of '
        f'{clock(recognition.duration_s)}, {how}.</p><ul class="bars">{bars}</ul>'
    )


def player(waveform: np.ndarray, sample_rate_hz: int, play: bool) -> str:
    """Returns HTML of a player of samples (n,), which starts at once or when it is clicked."""
    wav = io.BytesIO()
    soundfile.write(wav, waveform, sample_rate_hz, subtype="PCM_16", format="WAV")
    data = base64.b64encode(wav.getvalue()).decode()
    how = "controls autoplay" if play else "controls"
    return f'<audio {how} aria-label="This window" src="data:audio/wav;base64,{data}"></audio>'


def window_names(recognition: Recognition) -> list[str]:
    """Returns a line of text for each window: its time and its prediction.

    Example:
        >>> from serving.client.prediction import Prediction
        >>> window = Prediction("sad", {"sad": 0.6, "calm": 0.4}, {}, 1, 0.0, 4.0)
        >>> window_names(Recognition(Path("a.wav"), "moma", 4.0, window, True, (window,)))
        ['1: 0:00 - 0:04, sad 60 %']
    """

    def stretch(window: Prediction) -> str:
        start = "up to" if recognition.streamed else f"{clock(window.start_s)} -"
        return f"{start} {clock(window.end_s)}"

    return [
        f"{number}: {stretch(window)}, {window.in_words(recognition.uncertain_below, top=1)}"
        for number, window in enumerate(recognition.windows, 1)
    ]


def voice_html(voice: Voice) -> str:
    """Returns HTML that says what a model has learned of a voice."""
    return (
        f'<p role="status">{html.escape(voice.model)} knows this voice from '
        f"{voice.duration_s:.0f} s of speech. What you recognise now is judged by it.</p>"
    )


def error_html(error: Exception) -> str:
    """Returns HTML with the message of an error."""
    return f'<p role="alert" class="trouble">{html.escape(str(error))}</p>'


def _drawn(draw: Callable[[Path], Any]) -> tuple[Image.Image, Any]:
    """Returns (the picture that a function of `ser_keras.plots` writes, the function's result)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        result = draw(path)
        with Image.open(path) as picture:
            return picture.convert("RGB"), result
