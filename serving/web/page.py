"""The page of `ser web`: takes a recording and shows its emotions over time.

It works with mouse, keyboard and phone. It is made with gradio, whose analytics, fonts from the
network and history of runs are off: the page needs no other machine than its own.
"""

import os
from functools import partial
from pathlib import Path
from typing import Any

# gradio reads them when it is imported.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"

import gradio as gr

from ser_keras.errors import ConfigError, SerError
from serving.client.connection import ServerError
from serving.web.model_facts import WARNING
from serving.web.recognition import HOP_S, WINDOW_S, Recognition, recognize
from serving.web.view import (
    Models,
    View,
    error_html,
    summary,
    timeline_view,
    voice_html,
    window_names,
)
from serving.web.voice import Voice, learn

LARGEST_UPLOAD = "500mb"
# Every ten minutes uploads that are an hour old are deleted.
CLEANING_S = (600, 3600)
NARROWEST_PX, WIDEST_PX = 280, 794
# Returns the width for pictures, so that their letters are as large as the page's. Keeps Tab from
# gradio's lists, which open again when Tab leaves them.
ON_LOAD = f"""() => {{
    window.addEventListener("keydown", event => {{
        if (event.key === "Tab" && event.target.role === "combobox") event.stopPropagation()
    }}, true)
    return Math.min(document.documentElement.clientWidth - 26, {WIDEST_PX})
}}"""
STYLE = """
.gradio-container {width: 100% !important; max-width: min(820px, 100vw) !important; margin: auto}
.gradio-container .fillable {padding: 8px 12px !important}
.gradio-container main {padding: 0 !important}
#status {min-height: 6rem}
#status .html-container, #part .html-container {padding: 0 !important}
#part audio {width: 100%}
/* Times and buttons of the player, which were too pale to read. */
body:not(.dark) #speech {--neutral-400: var(--neutral-600)}
.trouble {border-left: 4px solid #b00020; padding: .5rem .8rem; font-weight: 600}
.bars {list-style: none; padding: 0; margin: .6rem 0 1.2rem; max-width: 32rem}
.bars li {display: grid; grid-template-columns: 1fr auto; margin: 0 0 .45rem}
.bars i {grid-column: 1 / -1; height: .5rem; background: #0072b2; min-width: 1px}
:focus-visible {outline: 3px solid #d55e00 !important; outline-offset: 1px}
"""
HELP = f"""\
## Over time

A model gets {WINDOW_S:g} s of the recording at a time, every {HOP_S:g} s. The predictive VRNN
remembers what came before: every {HOP_S:g} s it judges the recording up to there. Click on the
picture to play a window and to see it below, or choose a window from the list."""
VOICE = """\
A model that knows the voice judges better: what is loud or high for one person is ordinary for
another. Record or choose half a minute of ordinary speech of the person, by the same microphone.
The page keeps means and deviations of the voice, no sound, and forgets them when it is closed."""
DOUBT = " If none of its emotions reaches {:g} %, the answer is **uncertain**."


class Page:
    """The page as a gradio application.

    Args:
        models: the models that the page offers.
        uncertain_below: float. If no class has this probability, the answer is `uncertain`.
    """

    def __init__(self, models: Models, uncertain_below: float = 0.0):
        self.models, self.uncertain_below = models, uncertain_below
        with gr.Blocks(
            title="Emotion from speech", analytics_enabled=False, delete_cache=CLEANING_S
        ) as self.blocks:
            self._lay_out()
            self._connect_events()

    def launch(self, host: str, port: int) -> str:
        """Opens the page; returns its address.

        Raises:
            ConfigError: the port is taken.
        """
        theme = gr.themes.Default(
            primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["monospace"]
        ).set(
            button_primary_background_fill="#0b5394",
            button_primary_background_fill_dark="#0b5394",
            button_primary_background_fill_hover="#083b69",
            button_primary_background_fill_hover_dark="#083b69",
        )
        try:
            _, address, _ = self.blocks.queue(default_concurrency_limit=2).launch(
                server_name=host,
                server_port=port,
                prevent_thread_lock=True,
                quiet=True,
                share=False,
                ssr_mode=False,
                pwa=False,
                mcp_server=False,
                run_history=False,
                footer_links=[],
                max_file_size=LARGEST_UPLOAD,
                theme=theme,
                css=STYLE,
            )
        except OSError:
            raise ConfigError(f"--port {port}: taken, or not allowed. Choose another.") from None
        return address

    def close(self) -> None:
        """Closes the page."""
        self.blocks.close(verbose=False)

    def _lay_out(self) -> None:
        names = list(self.models.clients)
        about, card = self.models.about(names[0])
        doubt = DOUBT.format(100 * self.uncertain_below) if self.uncertain_below else ""
        gr.Markdown(f"# Emotion from speech\n\n{WARNING}{doubt}")
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
        self.about = gr.Markdown(about, elem_id="about")
        with gr.Accordion("This is my voice", open=False, elem_id="voice"):
            self._lay_out_voice()
        self.button = gr.Button("Recognise", variant="primary", elem_id="recognise")
        self.status = gr.HTML(elem_id="status")
        self.width = gr.Number(WIDEST_PX, visible=False)
        self.view = gr.State(None, time_to_live=CLEANING_S[1])
        with gr.Column(visible=False, elem_id="results") as self.results:
            self._lay_out_results()
        with gr.Accordion("Model card", open=False):
            self.card = gr.Markdown(card, elem_id="card")

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
        self.words = gr.Markdown(elem_id="words")
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

    def open(self, view: View, width_px: float, number: int) -> list[Any]:
        """Returns view, timeline, window's number, player, spectrogram and words of a window."""
        # Tab through the list chooses the window that is open already.
        if number == view.marked:
            return [gr.skip()] * 6
        return self._opened(view.recognition, width_px, number)

    def open_neighbour(self, step: int, view: View, width_px: float) -> list[Any]:
        """Returns the outputs of `open` for the window `step` windows further on."""
        last = len(view.recognition.windows) - 1
        return self._opened(view.recognition, width_px, min(max(view.marked + step, 0), last))

    def open_at(self, view: View, width_px: float, click: gr.SelectData) -> list[Any]:
        """Returns the outputs of `open` for the window that was clicked on."""
        return self._opened(view.recognition, width_px, view.window_at(click.index[0]))

    def _opened(
        self, recognition: Recognition, width_px: float, number: int, play: bool = True
    ) -> list[Any]:
        # A browser may send any width.
        picture_px = int(min(max(width_px or WIDEST_PX, NARROWEST_PX), WIDEST_PX))
        try:
            view, picture = timeline_view(recognition, number, picture_px)
            shown = self.models.window(recognition, number, picture_px, play)
        except SerError as error:
            raise gr.Error(str(error), duration=None) from None
        return [view, picture, number, *shown]
