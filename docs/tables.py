"""Markdown from what the code says of itself: tables, values, the arguments of a docstring."""

import html
import inspect
import json
import re
from collections.abc import Iterable
from typing import Any

# What stays as it is written.
_CODE = re.compile(r"(`[^`]*`)")
_ENTRY = re.compile(r" {4}(\w+(?:, \w+)*): (.*)")
_KIND = re.compile(r"([a-z]+(?: (?:of|or) [\w ]+?)?)(?:\.| (?=of every ))(.*)")


def table(head: str, rows: Iterable[Iterable[Any]]) -> str:
    """Returns a Markdown table.

    Args:
        head: str. Names of the columns, separated by commas.
        rows: cells; what is no text is shown by `str`.
    """
    names = head.split(",")
    lines = [names, ["---"] * len(names), *([plain(str(cell)) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(text: str) -> str:
    """Returns text on one line that is no markup, apart from code and links.

    Example:
        >>> plain("<k> in `x_<k>`")
        '&lt;k&gt; in `x_<k>`'
    """
    parts = _CODE.split(" ".join(text.split()).replace("|", "\\|"))
    return "".join(p if p.startswith("`") else _escaped(p) for p in parts)


def _escaped(text: str) -> str:
    return re.sub(r"([*_])", r"\\\1", html.escape(text, quote=False))


def code(value: Any) -> str:
    """Returns a value as code, as YAML would have it.

    Example:
        >>> code((1, 2)), code(None), code("adamw"), code("")
        ('`[1, 2]`', '`null`', '`adamw`', 'empty')
    """
    return f"`{value if isinstance(value, str) else json.dumps(value)}`" if value != "" else "empty"


def arguments_of(thing: Any) -> dict[str, str]:
    """Returns the `Args:` of a docstring: name to meaning, on one line.

    Example:
        >>> arguments_of(code), list(arguments_of(table))
        ({}, ['head', 'rows'])
    """
    _, _, after = (inspect.getdoc(thing) or "").partition("Args:\n")
    meaning: dict[str, str] = {}
    names: list[str] = []
    for line in after.splitlines():
        if not line.strip():
            break
        entry = _ENTRY.fullmatch(line)
        if entry:
            names = entry[1].split(", ")
            meaning |= dict.fromkeys(names, entry[2])
        else:
            meaning |= {name: f"{meaning[name]} {line.strip()}" for name in names}
    return meaning


def typed(meaning: str) -> tuple[str, str]:
    """Returns the type that a meaning begins with, and the rest.

    Example:
        >>> typed("list of int. Epochs."), typed("float."), typed("the sections")
        (('list of int', 'Epochs.'), ('float', ''), ('', 'the sections'))
    """
    match = _KIND.fullmatch(meaning)
    return (match[1], match[2].strip()) if match else ("", meaning)


def described(meaning: dict[str, str], defaults: dict[str, Any], prefix: str = "") -> str:
    """Returns a table of keys with type, default and meaning."""
    rows = []
    for name, default in defaults.items():
        kind, about = typed(meaning[name])
        rows.append((f"`{prefix}{name}`", kind, code(default), about))
    return table("key,type,default,meaning", rows)
