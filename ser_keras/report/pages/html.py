"""One HTML file that needs nothing else: no script, no font, no picture from elsewhere."""

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from ser_keras.files import write_text

_STYLE = """\
body{font:16px sans-serif;max-width:72em;margin:2em auto;padding:0 1em;color:#111}
table{border-collapse:collapse;margin:.5em 0}
td,th{padding:.2em .6em;text-align:right;border-bottom:1px solid #ccc}
th{text-align:center;vertical-align:bottom}
td:first-child,th:first-child,td.words{text-align:left}
caption{text-align:left;white-space:nowrap;color:#444;padding-bottom:.3em}
figure{margin:1em 0}
svg{max-width:100%;height:auto}
.wide{overflow-x:auto}
code,li,p{overflow-wrap:anywhere}"""
_WORDS = " class='words'"


def write_page(path: Path, title: str, parts: Iterable[str]) -> None:
    """Writes a page, complete or not at all.

    Args:
        path: of the file.
        title: of the page, also its first heading.
        parts: what the functions below return.
    """
    page = (
        "<!doctype html>\n<html lang='en'>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width'>\n"
        f"<title>{html.escape(title)}</title>\n<style>\n{_STYLE}\n</style>\n"
        f"{heading(title, 1)}\n" + "\n".join(part for part in parts if part) + "\n</html>\n"
    )
    write_text(path, page)


def heading(words: str, level: int = 2) -> str:
    """Returns a heading."""
    return f"<h{level}>{html.escape(words)}</h{level}>"


def paragraph(words: str) -> str:
    """Returns a paragraph, or nothing without words."""
    return f"<p>{html.escape(words)}</p>" if words else ""


def code(words: str) -> str:
    """Returns a paragraph set as code."""
    return f"<p><code>{html.escape(words)}</code></p>"


def bullets(items: Iterable[tuple[str, str]]) -> str:
    """Returns a list of (name, text); the name is set as code."""
    lines = [
        f"<li><code>{html.escape(name)}</code>: {html.escape(text)}</li>" for name, text in items
    ]
    return f"<ul>{''.join(lines)}</ul>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Returns a table. The first cell of a row is its name.

    Args:
        head: names of the columns.
        rows: their cells.
        caption: what it shows.
    """
    body = [
        "".join(_cell(cell, _WORDS if cell[:1].isalpha() else "") for cell in row) for row in rows
    ]
    return _table_of_rows(head, body, caption)


def shaded_table(
    head: Sequence[str],
    rows: Iterable[tuple[str, Sequence[tuple[str, float | None]]]],
    caption: str = "",
) -> str:
    """Returns a table whose cells are darker where a share is larger, readable in grey.

    Args:
        head: names of the columns.
        rows: (name, (text, share from 0 to 1; None leaves it white) of each cell).
        caption: what it shows.
    """
    body = [
        _cell(name) + "".join(_cell(text, _shade(share)) for text, share in cells)
        for name, cells in rows
    ]
    return _table_of_rows(head, body, caption)


def markdown_table(markdown: str) -> str:
    r"""Returns a Markdown table as HTML.

    Example:
        >>> "<td>1</td>" in markdown_table("| a |\n|---|\n| 1 |")
        True
    """
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines()
    ]
    return table(head, rows)


def picture(path: Path, words: str) -> str:
    """Returns an SVG file as part of the page.

    Args:
        path: of the file.
        words: what it shows, for readers who cannot see it.
    """
    svg = path.read_text(encoding="utf-8")
    label = html.escape(words, quote=True)
    inside = svg[svg.index("<svg") + len("<svg") :].strip()
    return f'<figure><svg role="img" aria-label="{label}"{" " + inside}</figure>'


def _table_of_rows(head: Sequence[str], body: Iterable[str], caption: str) -> str:
    cells = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    above = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    rows = "".join(f"<tr>{row}</tr>" for row in body)
    return f"<div class='wide'><table>{above}<tr>{cells}</tr>{rows}</table></div>"


def _cell(text: str, attribute: str = "") -> str:
    return f"<td{attribute}>{html.escape(text)}</td>"


def _shade(share: float | None) -> str:
    if share is None:
        return ""
    # From white to a dark blue, linear in lightness; the text is white on the darker half.
    red, green, blue = (round(255 + share * (dark - 255)) for dark in (8, 48, 107))
    ink = "#fff" if share > 0.65 else "#000"
    return f" style='background:#{red:02x}{green:02x}{blue:02x};color:{ink}'"
