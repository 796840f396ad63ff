"""What happens while the site is built: generated parts, the notebook, results, the graph."""

import base64
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from docs import generated
from docs.error_messages import ROOT

NOTEBOOK = "first_steps"
# The section of the navigation that has a page for each system.
SYSTEMS = "The systems"
_MARK = re.compile(r"<!-- generated: ([a-z ]+) -->")
# In the repository the results are beside the pages, on the site they are below them.
_RESULT = re.compile(r"\]\(\.\./(results/[^)]+)\)")


def on_config(config: Any) -> Any:
    """Adds the pages of the systems to the navigation."""
    for section in config["nav"]:
        section.get(SYSTEMS, []).extend(
            {system.title: f"systems/{system.name}.md"} for system in generated.system_pages()
        )
    return config


def on_files(files: Files, *, config: Any) -> Files:
    """Adds pages and pictures that are in no folder."""
    for uri, content in [*_notebook(), ("pictures/pipeline.svg", _graph())]:
        files.append(File.generated(config, uri, content=content))
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    for name in sorted(set(_RESULT.findall(page))):
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replaces each mark by its generated part, and links to results; an unknown mark stops it."""
    generated_parts = _MARK.sub(lambda mark: generated.PARTS[mark[1]](), markdown)
    return _RESULT.sub(r"](\1)", generated_parts)


def _graph() -> bytes:
    from pipeline.cli.diagram import draw_graph
    from pipeline.orchestration.pipeline_file import load_pipeline

    with tempfile.TemporaryDirectory() as folder:
        draw_graph(load_pipeline("demo"), path := Path(folder) / "pipeline.svg")
        return path.read_bytes()


def _notebook() -> Iterator[tuple[str, str | bytes]]:
    """Yields the notebook as a page, and its pictures; as it was run, where `make docs` ran it."""
    source, ran = (ROOT / folder / f"{NOTEBOOK}.ipynb" for folder in ("docs", "build"))
    if ran.is_file() and ran.stat().st_mtime > source.stat().st_mtime:
        source = ran
    parts = []
    for cell in json.loads(source.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                picture = f"pictures/{NOTEBOOK}_{len(parts)}.png"
                yield picture, base64.b64decode(data["image/png"])
                parts.append(f"![{cell['metadata'].get('alt', '')}]({picture})")
            elif printed := "".join(output.get("text", data.get("text/plain", ""))).rstrip():
                parts.append(f'```{{.text title="prints"}}\n{printed}\n```')
    yield f"{NOTEBOOK}.md", "\n\n".join(parts)
