"""The errors of the project, with every message there is, read from the `raise` statements."""

import ast
import inspect
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from docs.tables import table
from ser_keras import errors as classes

PACKAGES = ("ser_keras", "pipeline", "tuning", "serving")
ROOT = Path(__file__).resolve().parents[1]


def errors() -> str:
    """Returns the errors: exit code, what happened, who acts, and every message."""
    messages_of = messages()
    rows, parts = [], []
    for cls in error_classes():
        what, _, who = (inspect.getdoc(cls) or "").partition("\n")[0].partition(". ")
        link = f"[`{cls.__name__}`](#{cls.__name__.lower()})"
        rows.append((cls.exit_code, link, f"{what.rstrip('.')}.", who))
        parts += [f"## {cls.__name__}", f"Exit code {cls.exit_code}. {what.rstrip('.')}. {who}"]
        known = [(f"`{module}`", text) for module, text in messages_of[cls.__name__]]
        if known:
            body = table("raised in,message", known).replace("\n", "\n    ")
            parts.append(f'??? note "Messages: {len(known)}"\n\n    {body}')
    return "\n\n".join([table("exit code,class,what happened,who acts", rows), *parts])


def error_classes() -> list[type[classes.SerError]]:
    """Returns the classes a person may meet, by exit code."""
    defined = [value for value in vars(classes).values() if inspect.isclass(value)]
    raised = [cls for cls in defined if issubclass(cls, classes.SerError)]
    return sorted(raised, key=lambda cls: cls.exit_code)


def messages() -> dict[str, list[tuple[str, str]]]:
    """Returns, by class, every message with the module that it comes from.

    What a message is filled with stands in it as ⟨name⟩, or as … where that is an expression.
    """
    by_class: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for name, text in _raised(tree):
                if (module, text) not in by_class[name]:
                    by_class[name].append((module.removesuffix(".__init__"), text))
    return by_class


def _raised(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            text = " ".join(_text(node.args[0]).split())
            # A message that is put together elsewhere would be no more than dots.
            if len(text.replace("…", "").split()) > 2:
                yield node.func.id, text


def _text(node: ast.expr) -> str:
    """Returns the text of an expression, as far as it can be known without running it."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_text, node.values))
    if isinstance(node, ast.FormattedValue):
        return _text(node.value)
    if isinstance(node, ast.Name):
        return f"⟨{node.id}⟩"
    if isinstance(node, ast.Attribute):
        return f"⟨{node.attr}⟩"
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "unknown_name":
        return f"unknown {_text(node.args[0])} …; did you mean …? Known: …."
    return "…"
