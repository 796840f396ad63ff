"""The page of `ser web` in a real browser that reaches this machine alone: `make test-web`.

Screenshots are in build/web, to be looked at.
"""

import contextlib
import http.server
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.architecture import ROOT
from tests.serving import exports
from tests.serving.client.described import described

pytestmark = pytest.mark.web
PICTURES = ROOT / "build" / "web"
CHROMIUM = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--mute-audio"),
    # Names lead nowhere: what is not on this machine cannot be loaded.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    # A microphone that beeps, and nobody to ask for leave.
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
)
SCREENS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
    },
}
PATIENCE_MS = 60_000
HERE = ("http://127.0.0.1:", "data:", "blob:")


@dataclass(frozen=True)
class Running:
    """A page: its port and its process."""

    port: int
    process: subprocess.Popen

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def peak_mb(self) -> float:
        """The most memory that the page's process has had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024


def web(port, *options):
    """The command line of a page."""
    return [sys.executable, "-m", "ser_keras", "web", "--port", str(port), *map(str, options)]


@contextlib.contextmanager
def running(kept, *options):
    """A page, started as a user starts it; at its end it must have left nothing in `kept`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        web(port, *options),
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(kept)},
    ) as process:
        line = process.stdout.readline()
        if not re.search(rf"http://127\.0\.0\.1:{port}/ shows (moma|ready)", line):
            process.kill()
            pytest.fail(f"the page did not start: {line}")
        try:
            yield Running(port, process)
        except BaseException:
            # Its end would be waited for.
            process.kill()
            raise
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        # Nobody's voice is left behind.
        assert list(kept.iterdir()) == []


@pytest.fixture(scope="module")
def page_of(tmp_path_factory, moma):
    """The page of two models that it serves itself."""
    base, published = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("published")
    alexnet = exports.small("alexnet_fcn")
    exports.publish(alexnet, published / "alexnet_fcn")
    folders = [described(*moma, base), described(alexnet, published / "alexnet_fcn", base)]
    kept = tmp_path_factory.mktemp("kept")
    with running(kept, "--export", folders[0], "--export", folders[1]) as page:
        yield page


@pytest.fixture(scope="module")
def browser():
    """Playwright, with the path of Chromium."""
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("found no chromium on the path; Debian: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium, path


@pytest.fixture
def opened(browser, page_of, tmp_path):
    """Returns a function that opens a page on a screen; checks at the end what it asked for."""
    chromium, path = browser
    asked, errors = [], []
    with contextlib.ExitStack() as stack:

        def open_on(screen, address=page_of.address):
            context = chromium.launch_persistent_context(
                tmp_path / "profile", executable_path=path, args=CHROMIUM, **SCREENS[screen]
            )
            stack.callback(context.close)
            page = context.pages[0]
            page.set_default_timeout(PATIENCE_MS)
            page.on("request", lambda request: asked.append(request.url))
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(address)
            page.locator("#recognise").wait_for()
            # Buttons are there before they do anything.
            page.wait_for_timeout(1000)
            return page

        yield open_on
    assert asked
    assert [url for url in asked if not url.startswith(HERE)] == []
    assert errors == []


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    samples = np.concatenate(exports.clips(8, seed=3, least=39000))[: 9 * exports.RATE]
    soundfile.write(path, samples, exports.RATE, subtype="PCM_16")
    return path


def upload(page, path):
    page.locator("#speech input[type=file]").set_input_files(path)
    page.locator("#speech .waveform-container").wait_for()


def recognise(page):
    page.locator("#recognise").click()
    page.locator("#spectrogram img").wait_for()


def keep(page, name):
    PICTURES.mkdir(parents=True, exist_ok=True)
    # What is new fades in.
    page.wait_for_timeout(700)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= screen.width")


@pytest.mark.parametrize("screen", SCREENS)
def test_speech_is_recognised_shown_and_the_window_that_is_clicked_heard(opened, speech, screen):
    page = opened(screen)
    keep(page, f"{screen}-empty")
    assert "can be wrong" in page.locator("body").inner_text()
    assert "trained on EmoDB" in page.locator("#about").inner_text()
    upload(page, speech)
    recognise(page)
    assert re.search(r"moma says: \w+\. The whole recording of 0:0\d", status_of(page))
    assert status_of(page).count("%") == len(exports.CLASSES)
    first = page.locator("#spectrogram img").get_attribute("src")
    assert page.locator("#window input").input_value().startswith("1: 0:00 - 0:04")
    timeline = page.locator("#timeline img")
    box = timeline.bounding_box()
    # The letters have the size they were drawn with.
    assert box["width"] == pytest.approx(min(794, page.viewport_size["width"] - 26), abs=2)
    timeline.click(position={"x": 0.95 * box["width"], "y": 0.7 * box["height"]})
    page.wait_for_function(
        "was => document.querySelector('#spectrogram img').src != was", arg=first
    )
    last = page.locator("#window input").input_value()
    assert re.match(r"[3-9]: 0:0\d - 0:0\d, \w+ \d+ %", last)
    page.wait_for_function("document.querySelector('#part audio').currentTime > 0")
    keep(page, f"{screen}-result")
    assert fits(page)


def status_of(page):
    return page.locator("#status").inner_text()


def test_every_control_has_a_name_for_screen_readers(opened, speech):
    page = opened("phone")
    upload(page, speech)
    recognise(page)
    page.wait_for_timeout(1000)
    assert page.evaluate("document.documentElement.lang")
    read = page.locator("body").aria_snapshot()
    assert read.count('- button "') > 10
    nameless = r'^ *- (?:button|checkbox|combobox|slider|textbox)(?! ").*'
    assert re.findall(nameless, read, re.MULTILINE) == []
    for picture in ("Probability of each emotion over time", "Spectrogram of the window"):
        assert f'- img "{picture}' in read


def test_the_keyboard_alone_is_enough(opened, speech):
    page = opened("desktop")

    def walk_to(name):
        """Presses Tab until something of this name has the focus."""
        for _ in range(40):
            page.keyboard.press("Tab")
            here = page.evaluate(
                "(document.activeElement.ariaLabel || document.activeElement.innerText || '')"
            )
            if here.strip() == name:
                return
        pytest.fail(f"no Tab leads to {name!r}")

    chosen = []
    page.on("filechooser", lambda chooser: chosen.append(chooser))
    # What has just appeared misses keys.
    for _ in range(20):
        walk_to("Drop an audio file here to upload")
        page.keyboard.press("Enter")
        page.wait_for_timeout(1000)
        if chosen:
            break
    chosen[0].set_files(speech)
    page.locator("#speech .waveform-container").wait_for()
    walk_to("Model")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('#about').innerText.startsWith('alexnet_fcn')")
    walk_to("Recognise")
    page.keyboard.press("Enter")
    page.locator("#spectrogram img").wait_for()
    assert status_of(page).startswith("alexnet_fcn says: ")
    # Here, too.
    page.wait_for_timeout(1000)
    walk_to("Next window")
    page.wait_for_timeout(1000)
    assert page.locator("[role=listbox]:visible").count() == 0
    assert page.locator("#part audio[autoplay]").count() == 0
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('#window input').value.startsWith('2: ')")
    keep(page, "keyboard")


def test_what_the_microphone_hears_is_recognised(opened):
    page = opened("desktop")
    page.get_by_label("Record audio").click()
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(2500)
    page.get_by_role("button", name="Stop", exact=True).first.click()
    page.locator("#speech .waveform-container").wait_for()
    recognise(page)
    assert re.search(r"says: \w+\. The whole recording of 0:0[1-4]", status_of(page))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the program ffmpeg")
@pytest.mark.parametrize("screen", SCREENS)
def test_the_ready_model_learns_a_voice_and_takes_what_a_telephone_records(
    opened, speech, tmp_path, screen
):
    voice, telephone, kept = (tmp_path / name for name in ("voice.wav", "me.m4a", "kept"))
    kept.mkdir()
    samples = np.concatenate(exports.clips(12, seed=6, least=39000))
    soundfile.write(voice, samples, exports.RATE, subtype="PCM_16")
    subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-i", speech, telephone], check=True, timeout=60
    )
    with running(kept) as ready:
        page = opened(screen, ready.address)
        assert "ready has heard acted speech" in page.locator("#about").inner_text()
        page.get_by_text("This is my voice").click()
        page.locator("#own-speech input[type=file]").set_input_files(voice)
        page.locator("#own-speech .waveform-container").wait_for()
        page.locator("#learn").click()
        page.get_by_text("ready knows this voice from").wait_for()
        keep(page, f"{screen}-voice")
        upload(page, telephone)
        recognise(page)
        assert "by what the model knows of this voice" in status_of(page)
        keep(page, f"{screen}-adapted")
        assert fits(page)
        page.locator("#forget").click()
        page.get_by_text("The voice is forgotten").wait_for()
        page.locator("#recognise").click()
        page.wait_for_function(
            "!document.querySelector('#status').innerText.includes('by what the model knows')"
        )
        page.locator("#status strong").wait_for()
        assert "by what the model knows" not in status_of(page)


@pytest.mark.parametrize("screen", SCREENS)
def test_a_bad_file_is_said_to_be_one_and_the_page_goes_on(opened, speech, tmp_path, screen):
    bad = tmp_path / "letter.wav"
    bad.write_text("no speech at all")
    page = opened(screen)
    page.locator("#recognise").click()
    alert = page.locator("#status [role=alert]")
    alert.wait_for()
    assert "There is no speech yet" in alert.inner_text()
    page.locator("#speech input[type=file]").set_input_files(bad)
    page.wait_for_timeout(1500)
    page.locator("#recognise").click()
    page.get_by_text("letter.wav: found content that starts with").wait_for()
    assert "expected WAV, FLAC, Ogg or MP3" in alert.inner_text()
    assert not page.locator("#results").is_visible()
    keep(page, f"{screen}-bad-file")
    page.get_by_label("Clear").first.click()
    upload(page, speech)
    recognise(page)
    assert fits(page)


def test_ten_minutes_show_their_progress_within_a_gigabyte(opened, page_of, tmp_path):
    path = tmp_path / "long.wav"
    clip = np.concatenate(exports.clips(8, seed=3, least=39000))
    soundfile.write(path, np.resize(clip, 600 * exports.RATE), exports.RATE, subtype="PCM_16")
    page = opened("phone")
    upload(page, path)
    page.locator("#recognise").click()
    page.locator("#status").get_by_text(re.compile(r"analysed \d:\d\d of 10:00")).first.wait_for()
    keep(page, "phone-progress")
    page.locator("#spectrogram img").wait_for()
    assert "The whole recording of 10:00, the mean of 299 windows" in status_of(page)
    keep(page, "phone-ten-minutes")
    assert fits(page)
    assert page_of.peak_mb < 1000


def test_a_server_elsewhere_is_asked_and_what_is_not_known_is_said(
    opened, closed, speech, tmp_path
):
    kept = tmp_path / "kept"
    kept.mkdir()
    shown = ("--certificate", closed.certificate, "--key", closed.key)
    options = ("--server", closed.address, "--model", "moma", *shown)
    options += ("--root-certificate", closed.root_certificate)
    with running(kept, *options, "--uncertain-below", 0.99) as remote:
        page = opened("phone", remote.address)
        assert "The training data of moma are unknown here" in page.inner_text("#about")
        assert "If none of its emotions reaches 99 %, the answer is uncertain" in page.inner_text(
            "body"
        )
        upload(page, speech)
        recognise(page)
        assert re.search(r"moma says: uncertain, \w+ is only the likeliest\.", status_of(page))
        window = page.locator("#window input").input_value()
        assert re.fullmatch(r"1: 0:00 - 0:04, uncertain: \w+ \d+ %", window)
        assert "moma says of this window: uncertain: " in page.inner_text("#words")
        assert "Its attention is not known" in page.inner_text("#words")
        keep(page, "phone-uncertain")
        again = exports.completed(*web(remote.port, *options), cwd=ROOT)
        assert again.returncode == 2
        assert f"--port {remote.port}: taken" in again.stderr
        page.context.close()


EVIL = "http://evil.example/"
STRANGE = (
    f"<img src={EVIL}a.png onerror=window.owned=1>",
    f"![b]({EVIL}b.png) **c**",
    "${window.owned=2} {{window.owned}}",
    "$\\frac{$",
)
STRANGE_CARD = f"""\
# {STRANGE[0]}

![d]({EVIL}d.png) <script>window.owned=3</script> [e]({EVIL}e)

<iframe src="{EVIL}f"></iframe>
<style>@import url({EVIL}g.css)</style>
"""


def test_names_and_the_card_of_a_strangers_model_are_text(opened, speech, tmp_path):
    strange = replace(exports.small("moma"), classes=STRANGE)
    exports.publish(strange, tmp_path / "published" / "moma")
    folder = described(strange, tmp_path / "published" / "moma", tmp_path / "models")
    (folder / "1" / "assets.extra" / "model_card.md").write_text(STRANGE_CARD, encoding="utf-8")
    kept = tmp_path / "kept"
    kept.mkdir()
    with running(kept, "--export", folder) as remote:
        page = opened("desktop", remote.address)
        upload(page, speech)
        recognise(page)
        page.locator("button:has-text('Next window')").click()
        page.wait_for_function("document.querySelector('#window input').value.startsWith('2: ')")
        page.get_by_text("Model card").click()
        page.get_by_text("window.owned=3").wait_for()
        keep(page, "desktop-strange-names")
        for part in ("#about", "#status"):
            text = page.locator(part).inner_text()
            for name in STRANGE:
                assert name in text
        assert any(name in page.inner_text("#words") for name in STRANGE)
        assert page.evaluate("window.owned") is None
        assert page.locator("#card").locator("img, a, iframe, style").count() == 0
        page.context.close()


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """A page of another origin, empty."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass


SEND = """async address => {
    const form = new FormData()
    form.append("files", new Blob(["x".repeat(1000)]), "speech.wav")
    try {
        const answer = await fetch(address + "gradio_api/upload", {method: "POST", body: form})
        return answer.status
    } catch (error) {
        return error.name
    }
}"""


def test_a_page_of_another_origin_can_neither_send_nor_ask(opened, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()

    def stored():
        return [path for path in kept.rglob("*") if path.is_file()]

    with (
        running(kept) as own,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as elsewhere,
    ):
        threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
        page = opened("desktop", own.address)
        address = f"http://127.0.0.1:{elsewhere.server_port}/"
        # Sent without leave to read the answer.
        blind = SEND.replace("body:", 'mode: "no-cors", body:')
        page.goto(address)
        assert page.evaluate(SEND, own.address) == "TypeError"
        assert page.evaluate(blind, own.address) == "TypeError"
        assert stored() == []
        page.goto(own.address)
        assert page.evaluate(SEND, own.address) == 200
        assert len(stored()) == 1
        elsewhere.shutdown()
        page.context.close()


def test_what_a_killed_page_has_stored_is_gone_when_the_next_one_starts(tmp_path):
    # Comes with gradio.
    import httpx

    kept = tmp_path / "kept"
    kept.mkdir()
    # `running` kills the page.
    with contextlib.suppress(InterruptedError), running(kept) as page:
        sent = httpx.post(f"{page.address}gradio_api/upload", files={"files": ("speech.wav", b"x")})
        assert sent.status_code == 200
        raise InterruptedError
    assert [path.name for path in kept.rglob("*.wav")] == ["speech.wav"]
    with running(kept):
        assert list(kept.rglob("*.wav")) == []
