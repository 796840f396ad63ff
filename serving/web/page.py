"""The page of `ser web`: takes a recording and shows its emotions over time.

It works with mouse, keyboard and phone. It is made with gradio, whose analytics, fonts from the
network and history of runs are off: the page needs no other machine than its own.
"""

import html
import os
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

# gradio reads them when it is imported.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"

import gradio as gr
from fastapi import FastAPI

from ser_keras.errors import ConfigError, SerError
from serving.client.connection import ServerError
from serving.web.guard import Guard
from serving.web.page_server import PageServer
from serving.web.recognition import Recognition, recognize
from serving.web.texts import DOUBT, HEAD, HELP, ON_LOAD, STYLE, VOICE, WIDEST_PX
from serving.web.uploads import Quota
from serving.web.view import (
    Models,
    View,
    error_html,
    picture_width,
    summary,
    timeline_view,
    voice_html,
    window_names,
)
from serving.web.voice import Voice, learn

LARGEST_UPLOAD = "500mb"
# Recordings that wait for their turn; more visitors are asked to come back.
MOST_WAITING = 32
# Every ten minutes uploads that are an hour old are deleted.
CLEANING_S = (600, 3600)


class Page:
    """The page as a gradio application.

    Args:
        models: the models that the page offers.
        uncertain_below: float. If no class has this probability, the answer is `uncertain`.
    """

    def __init__(self, models: Models, uncertain_below: float = 0.0):
        self.models, self.uncertain_below = models, uncertain_below
        self._server: PageServer | None = None
        with gr.Blocks(
            title="Emotion from speech", analytics_enabled=False, delete_cache=CLEANING_S
        ) as self.blocks:
            self._lay_out()
            self._connect_events()

    def launch(
        self, host: str, port: int, quota: Quota, allowed_hosts: Collection[str] = ()
    ) -> str:
        """Opens the page; returns its address.

        Args:
            host: name or address to listen on.
            port: int. 0 takes a free one.
            quota: of the uploads.
            allowed_hosts: further names by which browsers may reach the page.

        Raises:
            ConfigError: the address is unknown, or the port taken.
        """
        guard = Guard(self.app(), host, allowed_hosts, quota)
        self._server = PageServer(guard, host, port)
        return self._server.address

    def app(self) -> FastAPI:
        """Returns the ASGI application, without any check of who asks."""
        theme = gr.themes.Default(
            primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["monospace"]
        ).set(
            button_primary_background_fill="#0b5394",
            button_primary_background_fill_dark="#0b5394",
            button_primary_background_fill_hover="#083b69",
            button_primary_background_fill_hover_dark="#083b69",
        )
        return gr.mount_gradio_app(
            FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
            self.blocks.queue(default_concurrency_limit=2, max_size=MOST_WAITING),
            path="/",
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            run_history=False,
            enable_monitoring=False,
            footer_links=[],
            max_file_size=LARGEST_UPLOAD,
            # Tracebacks and paths are for the terminal alone.
            show_error=False,
            theme=theme,
            css=STYLE,
        )

    def close(self) -> None:
        """Closes the page."""
        if self._server is not None:
            self._server.close()

    def _lay_out(self) -> None:
        names = list(self.models.clients)
        about, card = self.models.about(names[0])
        doubt = DOUBT.format(100 * self.uncertain_below) if self.uncertain_below else ""
        gr.Markdown(f"{HEAD}{doubt}")
        self.speech = gr.Audio(
            label="Speech: a file or a recording",
            sources=["upload", "microphone"],
            type="filepath",
            buttons=[],
            elem_id="speech",
        )
        self.model = gr.Dropdown(
            names, value=names[0], label="Model", filterable=False, elem_id="model"
        )
        self.about = gr.HTML(about, elem_id="about")
        with gr.Accordion("This is my voice", open=False, elem_id="voice"):
            self._lay_out_voice()
        self.button = gr.Button("Recognise", variant="primary", elem_id="recognise")
        self.status = gr.HTML(elem_id="status")
        self.width = gr.Number(WIDEST_PX, visible=False)
        self.view = gr.State(None, time_to_live=CLEANING_S[1])
        with gr.Column(visible=False, elem_id="results") as self.results:
            self._lay_out_results()
        with gr.Accordion("Model card", open=False):
            self.card = gr.HTML(card, elem_id="card")

    def _lay_out_voice(self) -> None:
        gr.Markdown(VOICE)
        self.own_speech = gr.Audio(
            label="Half a minute of your ordinary voice",
            sources=["upload", "microphone"],
            type="filepath",
            buttons=[],
            elem_id="own-speech",
        )
        with gr.Row():
            self.learn = gr.Button("Learn this voice", size="sm", min_width=120, elem_id="learn")
            self.forget = gr.Button("Forget it", size="sm", min_width=120, elem_id="forget")
        self.voice_status = gr.HTML(elem_id="voice-status")
        self.voice = gr.State(None)

    def _lay_out_results(self) -> None:
        picture: dict[str, Any] = {
            "format": "png",
            "interactive": False,
            "buttons": [],
            # The label would cover the picture.
            "show_label": False,
        }
        gr.Markdown(HELP)
        self.timeline = gr.Image(
            label="Emotions over time",
            alt_text="Probability of each emotion over time; the list of windows names them",
            elem_id="timeline",
            **picture,
        )
        self.number = gr.Dropdown(
            label="Window", interactive=True, filterable=False, elem_id="window"
        )
        with gr.Row():
            self.previous = gr.Button("Previous window", size="sm", min_width=120)
            self.next = gr.Button("Next window", size="sm", min_width=120)
        self.words = gr.HTML(elem_id="words")
        self.part = gr.HTML(elem_id="part")
        self.spectrogram = gr.Image(
            label="Spectrogram and attention",
            alt_text="Spectrogram of the window with the attention of the model, if it is known",
            elem_id="spectrogram",
            **picture,
        )

    def _connect_events(self) -> None:
        private: dict[str, Any] = {"api_visibility": "private"}
        self.blocks.load(None, None, self.width, js=ON_LOAD, **private)
        self.model.change(self.models.about, self.model, [self.about, self.card], **private)
        shown = [self.view, self.timeline, self.number, self.part, self.spectrogram, self.words]
        self.button.click(
            self.recognise,
            [self.speech, self.model, self.width, self.voice],
            [self.status, self.results, *shown],
            show_progress_on=self.status,
            **private,
        )
        learned = [self.voice, self.voice_status]
        self.learn.click(
            self.learn_voice,
            [self.own_speech, self.model],
            learned,
            show_progress_on=self.voice_status,
            **private,
        )
        self.forget.click(self.forget_voice, None, learned, **private)
        state = [self.view, self.width]
        self.number.input(self.open, [*state, self.number], shown, **private)
        self.previous.click(partial(self.open_neighbour, -1), state, shown, **private)
        self.next.click(partial(self.open_neighbour, 1), state, shown, **private)
        self.timeline.select(self.open_at, state, shown, **private)

    # === Event handlers ===

    def learn_voice(self, path: str | None, model: str) -> list[Any]:
        """Returns (what the model has learned of a voice, a sentence as HTML)."""
        try:
            if path is None:
                raise ConfigError("There is no speech yet. Record some, or choose a file.")
            voice = learn(self.models.clients[model], Path(path))
        except (SerError, ServerError) as error:
            return [None, error_html(error)]
        return [voice, voice_html(voice)]

    def forget_voice(self) -> list[Any]:
        """Returns (nothing, a sentence as HTML)."""
        return [None, '<p role="status">The voice is forgotten.</p>']

    def recognise(
        self,
        path: str | None,
        model: str,
        width_px: float,
        voice: Voice | None = None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how gradio passes it
    ) -> list[Any]:
        """Recognises a recording; returns status, results, and the outputs of `open`."""
        try:
            if path is None:
                raise ConfigError("There is no speech yet. Record some, or choose a file.")
            client = self.models.clients[model]
            known = voice.statistics if voice is not None and voice.model == model else None
            recognition = recognize(client, Path(path), progress, self.uncertain_below, known)
        except (SerError, ServerError) as error:
            return [error_html(error), gr.update(visible=False), None, *[gr.skip()] * 5]
        # A window is played at once only if it was chosen.
        view, picture, _, *others = self._opened(recognition, width_px, 0, play=False)
        choices = [(name, number) for number, name in enumerate(window_names(recognition))]
        number = gr.update(choices=choices, value=0)
        return [summary(recognition), gr.update(visible=True), view, picture, number, *others]

    def open(self, view: View | None, width_px: float, number: int) -> list[Any]:
        """Returns view, timeline, window's number, player, spectrogram and words of a window."""
        # Tab through the list chooses the window that is open already.
        if view is not None and number == view.marked:
            return [gr.skip()] * 6
        return self._opened(_shown(view).recognition, width_px, number)

    def open_neighbour(self, step: int, view: View | None, width_px: float) -> list[Any]:
        """Returns the outputs of `open` for the window `step` windows further on."""
        view = _shown(view)
        last = len(view.recognition.windows) - 1
        return self._opened(view.recognition, width_px, min(max(view.marked + step, 0), last))

    def open_at(self, view: View | None, width_px: float, click: gr.SelectData) -> list[Any]:
        """Returns the outputs of `open` for the window that was clicked on."""
        view = _shown(view)
        try:
            number = view.window_at(float(click.index[0]))
        except (TypeError, ValueError, LookupError):
            raise gr.Error("This is no place in the picture.") from None
        return self._opened(view.recognition, width_px, number)

    def _opened(
        self, recognition: Recognition, width_px: float, number: int, play: bool = True
    ) -> list[Any]:
        if not (isinstance(number, int) and 0 <= number < len(recognition.windows)):
            raise gr.Error("There is no such window. Choose one from the list.")
        picture_px = picture_width(width_px)
        try:
            view, picture = timeline_view(recognition, number, picture_px)
            player, spectrogram, words = self.models.window(recognition, number, picture_px, play)
        except SerError as error:
            raise gr.Error(html.escape(str(error)), duration=None) from None
        return [view, picture, number, player, spectrogram, f"<p>{html.escape(words)}</p>"]


def _shown(view: View | None) -> View:
    """Returns the view that a browser has on its screen."""
    if view is None:
        raise gr.Error("Nothing is recognised yet, or an hour ago. Recognise the recording again.")
    return view
