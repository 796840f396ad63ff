"""What the page of `ser web` says and shows, made without the page.

`serving.web.page` puts it on a screen. Nothing here needs gradio, a browser or TensorFlow.
"""

import base64
import html
import io
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
from serving.web.model_facts import card, described, facts
from serving.web.recognition import Recognition, clock, samples_of


@dataclass(frozen=True)
class Models:
    """What people can pick from, and who answers.

    Args:
        clients: mapping of model to its client, in the order of the list.
        exports: mapping of model to its files, for those that are at hand.
    """

    clients: Mapping[str, SerClient]
    exports: Mapping[str, Published]

    def about(self, model: str) -> tuple[str, str]:
        """Returns (what a model was trained on, its card), both as Markdown."""
        export = self.exports.get(model)
        return facts(model, export), card(export) or "No card is at hand."

    def window(
        self, said: Recognition, number: int, width_px: int, play: bool = False
    ) -> tuple[str, Image.Image, str]:
        """Returns (HTML to hear it, spectrogram with attention, a sentence) of one window.

        Args:
            said: of the recording.
            number: of the window.
            width_px: how wide the picture will be shown.
            play: whether it is heard at once.

        Raises:
            AudioError: the recording is not there any more.
        """
        window, client = said.windows[number], self.clients[said.model]
        waveform = samples_of(said.path, window.start_s, window.end_s, client.sample_rate_hz)
        explanation, note = self._explained(said.model, waveform, window.start_s)
        picture, _ = _drawn(
            lambda path: draw_attention_spectrogram(
                waveform, path, start_s=window.start_s, explanation=explanation, width_px=width_px
            )
        )
        what = f"the first {clock(window.end_s)}" if said.streamed else "this window"
        words = f"{said.model} says of {what}: {window.in_words(said.uncertain_below)}.{note}"
        return player(waveform, client.sample_rate_hz, play), picture, words

    def _explained(
        self, model: str, waveform: np.ndarray, start_s: float
    ) -> tuple[Explanation | None, str]:
        """Returns (where the model attended, a note), one of which is empty."""
        export = self.exports.get(model)
        if export is None or described(export) is None:
            return None, " Where it attended is not known without its export."
        run = client_signatures(self.clients[model])
        try:
            return (
                explain(open_export(export.newest), run, waveform, source=model, start_s=start_s),
                "",
            )
        except (SerError, ServerError) as error:
            return None, f" Where it attended is not known: {error}"


@dataclass(frozen=True)
class View:
    """A recognition, and where the time axis is in the picture of it.

    Args:
        recognition: what was said.
        marked: int. Number of the window that is marked.
        left_px, right_px: float. Columns of the picture where the recording begins and ends.
    """

    recognition: Recognition
    marked: int
    left_px: float
    right_px: float

    def window_at(self, x_px: float) -> int:
        """Returns the number of the window that is under a column of the picture."""
        share = (x_px - self.left_px) / (self.right_px - self.left_px)
        return self.recognition.window_at(share * self.recognition.duration_s)


def look(said: Recognition, marked: int, width_px: int) -> tuple[View, Image.Image]:
    """Returns a view of the emotions over time and its picture, with one window marked.

    Args:
        said: of the recording.
        marked: number of the window.
        width_px: how wide the picture will be shown.
    """
    middles = np.array([(window.start_s + window.end_s) / 2 for window in said.windows])
    edges = np.concatenate([[0.0], (middles[1:] + middles[:-1]) / 2, [said.duration_s]])
    classes = list(said.overall.probabilities)
    shares = np.array([[window.probabilities[name] for name in classes] for window in said.windows])
    answers = np.array([window.answer(said.uncertain_below) for window in said.windows])
    picture, (left, right) = _drawn(
        lambda path: emotion_timeline(
            classes,
            edges,
            shares,
            path,
            width_px=width_px,
            marked=marked,
            # Where nobody asks for doubts there is no row for them.
            uncertain=answers == UNCERTAIN if said.uncertain_below else None,
        )
    )
    return View(said, marked, left * picture.width, right * picture.width), picture


def summary(said: Recognition) -> str:
    """Returns as HTML what a model says of the whole recording: a sentence and bars."""
    how = "heard in one piece" if said.whole else f"the mean of {len(said.windows)} windows"
    bars = "".join(
        f"<li><span>{html.escape(name)}</span><span>{100 * share:.0f} %</span>"
        f'<i style="width:{100 * share:.1f}%"></i></li>'
        for name, share in said.overall.likeliest
    )
    answer = said.overall.answer(said.uncertain_below)
    model, label, answer = map(html.escape, (said.model, said.overall.label, answer))
    doubt = "" if answer == label else f", {label} is only the likeliest"
    return (
        f'<p role="status">{model} says: <strong>{answer}</strong>{doubt}. The whole recording of '
        f'{clock(said.duration_s)}, {how}.</p><ul class="bars">{bars}</ul>'
    )


def player(waveform: np.ndarray, sample_rate_hz: int, play: bool) -> str:
    """Returns HTML that plays samples (n,), at once or when it is asked to."""
    wav = io.BytesIO()
    soundfile.write(wav, waveform, sample_rate_hz, subtype="PCM_16", format="WAV")
    data = base64.b64encode(wav.getvalue()).decode()
    how = "controls autoplay" if play else "controls"
    return f'<audio {how} aria-label="This window" src="data:audio/wav;base64,{data}"></audio>'


def window_names(said: Recognition) -> list[str]:
    """Returns a line for each window, so that people tell them apart.

    Example:
        >>> from serving.client.prediction import Prediction
        >>> window = Prediction("sad", {"sad": 0.6, "calm": 0.4}, {}, 1, 0.0, 4.0)
        >>> window_names(Recognition(Path("a.wav"), "moma", 4.0, window, True, (window,)))
        ['1: 0:00 - 0:04, sad 60 %']
    """

    def stretch(window: Prediction) -> str:
        start = "up to" if said.streamed else f"{clock(window.start_s)} -"
        return f"{start} {clock(window.end_s)}"

    return [
        f"{number}: {stretch(window)}, {window.in_words(said.uncertain_below, top=1)}"
        for number, window in enumerate(said.windows, 1)
    ]


def trouble(error: Exception) -> str:
    """Returns as HTML what went wrong, in the error's own words."""
    return f'<p role="alert" class="trouble">{html.escape(str(error))}</p>'


def _drawn(draw: Callable[[Path], Any]) -> tuple[Image.Image, Any]:
    """Returns (the picture that a function of `ser_keras.plots` writes, what it returns)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        said = draw(path)
        with Image.open(path) as picture:
            return picture.convert("RGB"), said
