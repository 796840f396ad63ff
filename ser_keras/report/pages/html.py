"""One HTML file that needs nothing else: no script, no font, no picture from elsewhere."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ser_keras.files import write_text

# The first rules are the colours in light and in dark. Pictures have white paper; the filter turns
# it into that of the dark page.
_STYLE = """\
:root{color-scheme:light dark;--paper:#fff;--ink:#111;--faint:#555;--line:#ccc;--card:#f5f6f8;
--shade:8 48 107;--on-shade:#fff}
@media(prefers-color-scheme:dark){:root{--paper:#191919;--ink:#e8e8e8;--faint:#aaa;--line:#444;
--card:#242629;--shade:125 180 255;--on-shade:#000}
figure svg{filter:invert(.9) hue-rotate(180deg)}}
*{box-sizing:border-box}
body{font:16px/1.45 system-ui,sans-serif;max-width:76em;margin:0 auto;padding:1em;
background:var(--paper);color:var(--ink)}
h1{font-size:1.5em;line-height:1.2}
h2{margin-top:2em;padding-top:.5em;border-top:1px solid var(--line)}
h3{margin:1.2em 0 .3em}
code,li,p,dd,h1,h2{overflow-wrap:anywhere}
.cards,.beside{display:grid;gap:1em;grid-template-columns:repeat(auto-fit,minmax(min(100%,27em),1fr))}
.cards>section{background:var(--card);border-radius:.5em;padding:0 1em}
.beside>*{min-width:0}
.wide,.picture{overflow-x:auto}
table{border-collapse:collapse;margin:0 0 .5em;font-variant-numeric:tabular-nums}
td,th{padding:.25em .6em;text-align:right;border-bottom:1px solid var(--line)}
td{white-space:nowrap}
th{text-align:center;vertical-align:bottom}
td:first-child,th:first-child,td.words{text-align:left}
td:first-child,th:first-child{position:sticky;left:0;background:var(--paper)}
td:first-child{white-space:normal;min-width:5em}
td[style]{background:rgb(var(--shade)/var(--share))}
td.deep{color:var(--on-shade)}
td.text{min-width:16em;text-align:left;white-space:normal}
.beside table{font-size:.85em}
.beside td,.beside th{padding:.25em .4em}
figure{margin:.5em 0}
figcaption,dd{color:var(--faint)}
dl{columns:22em;column-gap:2em}
dt{font-weight:bold;break-after:avoid}
summary{cursor:pointer;font-weight:bold;margin:1em 0}
dd{margin:0 0 .4em}
svg{max-width:100%;height:auto;display:block}
@media(max-width:30em){td,th{padding:.25em .4em}.cards>section{padding:0 .7em}}
@media print{.wide{overflow:visible}}"""
# Letters of 10 points stay readable down to this.
LEAST_SCALE = 0.6
# A cell of more letters is a sentence, which may go on in the next line.
_SENTENCE = 30
_WORDS, _TEXT = " class='words'", " class='text'"


def write_page(path: Path, title: str, parts: Iterable[str]) -> None:
    """Writes a page, complete or not at all.

    Args:
        path: of the file.
        title: of the page, also its first heading.
        parts: what the functions below return.
    """
    body = "\n".join(part for part in parts if part)
    page = (
        "<!doctype html>\n<html lang='en'>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width,initial-scale=1'>\n"
        f"<title>{html.escape(title)}</title>\n<style>\n{_STYLE}\n</style>\n<body>\n"
        f"{heading(title, 1)}\n{body}\n</body>\n</html>\n"
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


def cards(sections: Iterable[tuple[str, Iterable[str]]]) -> str:
    """Returns boxes side by side, of (heading, sentences)."""
    boxes = [
        f"<section>{heading(name, 3)}{''.join(map(paragraph, sentences))}</section>"
        for name, sentences in sections
    ]
    return f"<div class='cards'>{''.join(boxes)}</div>"


def beside(parts: Iterable[str]) -> str:
    """Returns parts side by side where the screen is wide enough, else below one another."""
    return f"<div class='beside'>{''.join(f'<div>{part}</div>' for part in parts if part)}</div>"


def definitions(title: str, words: Mapping[str, str]) -> str:
    """Returns words with what they mean, which a click on the title shows."""
    lines = [
        f"<dt>{html.escape(word)}</dt><dd>{html.escape(meaning)}</dd>"
        for word, meaning in words.items()
    ]
    name = html.escape(title)
    return f"<details><summary>{name}</summary><dl>{''.join(lines)}</dl></details>"


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
    body = ["".join(_cell(cell, _kind(cell)) for cell in row) for row in rows]
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
    width = re.search(r'width="([\d.]+)pt"', inside)
    # On a telephone a wide picture is not smaller than its letters can be read.
    least = f' style="min-width:{LEAST_SCALE * float(width[1]):.0f}pt"' if width else ""
    return f'<figure class="picture"><svg role="img"{least} aria-label="{label}" {inside}</figure>'


def _table_of_rows(head: Sequence[str], body: Iterable[str], caption: str) -> str:
    cells = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    above = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    rows = "".join(f"<tr>{row}</tr>" for row in body)
    # Whoever has no mouse scrolls it with the arrow keys.
    box = f"<div class='wide' tabindex='0'><table><tr>{cells}</tr>{rows}</table></div>"
    return f"<figure>{above}{box}</figure>"


def _cell(text: str, attribute: str = "") -> str:
    return f"<td{attribute}>{html.escape(text)}</td>"


def _kind(text: str) -> str:
    """Returns the class of a cell: a sentence, words or a number."""
    if len(text) > _SENTENCE:
        return _TEXT
    return _WORDS if text[:1].isalpha() else ""


def _shade(share: float | None) -> str:
    """Returns how dark a cell is: the share of the style's shade over the paper."""
    if share is None:
        return ""
    # Letters change their colour on the darker half.
    deep = " class='deep'" if share > 0.65 else ""
    return f"{deep} style='--share:{share:.2f}'"
