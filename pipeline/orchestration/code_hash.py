"""Which code a component runs: its module and all of ours that it imports, found without importing.

The source is parsed, not imported, so that a run that has nothing to do loads nothing. What counts
is what the source does: comments, docstrings and line breaks do not. A module that is only named in
a table, as a string, is not followed.
"""

import ast
import hashlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGES = ("ser_keras", "pipeline", "tuning", "serving")


def code_sha256(module: str) -> str:
    """Returns one hash of a module and of every module of ours behind it.

    Args:
        module: str. Dotted name.
    """
    digest = hashlib.sha256()
    for name in code_of(module):
        digest.update(f"{name} {_meaning(name)}\n".encode())
    return digest.hexdigest()


def code_of(module: str) -> list[str]:
    """Returns the module's name and those of all modules of ours that it imports, at any depth.

    The packages around the module itself are left out, for they do not take part in its work.

    Example:
        >>> code_of("ser_keras.labels")
        ['ser_keras', 'ser_keras.errors', 'ser_keras.labels']
    """
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imports(name)
    return sorted(found)


@cache
def _imports(module: str) -> tuple[str, ...]:
    """Returns the modules of ours, and the packages around them, that a module imports."""
    known = {*PACKAGES, module.partition(".")[0]}
    names: set[str] = set()
    for name in _named(_tree(module)):
        parts = name.split(".")
        if parts[0] in known:
            names.update(".".join(parts[:count]) for count in range(1, len(parts) + 1))
    return tuple(name for name in sorted(names) if _file(name) is not None)


def _named(tree: ast.Module) -> Iterator[str]:
    """Gives what a source imports; of `from a import b` both, for b may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def _meaning(module: str) -> str:
    """Returns a hash of a source without comments and docstrings."""
    tree = _tree(module)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            said = body[0].value
            if isinstance(said, ast.Constant) and isinstance(said.value, str):
                body.pop(0)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@cache
def _tree(module: str) -> ast.Module:
    file = _file(module)
    return ast.parse(file.read_bytes() if file is not None else b"")


@cache
def _file(module: str) -> Path | None:
    """Returns a module's source file, None where there is no such module."""
    package, _, rest = module.partition(".")
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = Path(folder, *rest.split(".")) if rest else Path(folder)
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                return file
    return None
