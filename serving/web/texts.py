"""Texts, styles and scripts of the page that never change."""

from serving.web.model_facts import WARNING
from serving.web.recognition import HOP_S, WINDOW_S

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
.html-container {padding: 0 !important}
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
HEAD = f"# Emotion from speech\n\n{WARNING}"
VOICE = """\
A model that knows the voice judges better: what is loud or high for one person is ordinary for
another. Record or choose half a minute of ordinary speech of the person, by the same microphone.
The page keeps means and deviations of the voice, no sound, and forgets them when it is closed."""
DOUBT = " If none of its emotions reaches {:g} %, the answer is **uncertain**."
