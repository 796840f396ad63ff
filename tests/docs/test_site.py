"""The site builds without a warning, needs nobody else's server, and its notebook runs."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest

from docs.error_messages import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (find_spec("mkdocs") and find_spec("nbclient")), reason="make docs installs it"
    ),
]


def run(program, *arguments):
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    # The tests' own choice; a notebook shows its pictures.
    environment.pop("MPLBACKEND", None)
    done = subprocess.run(
        [Path(sys.executable).with_name(program), *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    run("python", "-m", "mkdocs", "build", "--strict", "--site-dir", folder)
    return folder


def test_every_page_is_built_and_no_mark_is_left(site):
    pages = {page.relative_to(site).with_suffix("") for page in site.rglob("*.html")}
    written = {
        page.relative_to(ROOT / "docs").with_suffix("") for page in ROOT.glob("docs/**/*.md")
    }
    assert written < pages
    assert [page for page in site.rglob("*.html") if "generated:" in page.read_text("utf-8")] == []
    commands = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    assert all(
        f'id="ser-{verb}' in commands for verb in entry_points(group="ser_keras.commands").names
    )


def test_the_site_asks_no_other_server(site):
    loads = re.compile(r"""(?:<script[^>]*src|<link[^>]*href|<img[^>]*src)=["']?(?:https?:)?//""")
    asks = [page.name for page in site.rglob("*.html") if loads.search(page.read_text("utf-8"))]
    assert asks == []


def test_every_link_and_picture_of_the_site_is_there(site):
    targets = re.compile(r"""(?:href|src)="([^"#:]+)(?:#[^"]*)?\"""")
    missing = [
        f"{page.name}: {target}"
        for page in site.rglob("*.html")
        if page.name != "404.html"
        for target in targets.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert missing == []


def test_the_notebook_runs_top_to_bottom(tmp_path):
    ran = tmp_path / "ran.ipynb"
    run("jupyter-execute", ROOT / "docs" / "first_steps.ipynb", f"--output={ran}")
    cells = json.loads(ran.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    pictures = [cell for cell in code if any("data" in output for output in cell["outputs"])]
    assert len(pictures) == 3
    # Without words a picture tells those who cannot see it nothing.
    assert all(cell["metadata"]["alt"] for cell in pictures)
