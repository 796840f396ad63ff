"""Which code a component runs: its module and everything of this project that it imports.

The sources are parsed and not imported, so that a run with nothing to do loads nothing. Imports
count at any depth, inside functions as well. Comments, docstrings and line breaks do not count.

A table such as `ser_keras.models.MODELS` names modules that are imported when one of them is used.
Of such a table only the entries count that a component looks up, and so do the modules that these
entries name: another model's code is no part of what a trainer runs. A corpus that a YAML file
defines has no entry there; its file counts in its place.
"""

import ast
import hashlib
import importlib.util
import re
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path

from pipeline.components.tables import CORPORA, TABLES, Lookup
from ser_keras.corpora.catalogue import definition_files

PACKAGES = ("ser_keras", "pipeline", "tuning", "serving")
# `module` or `module:name`, as the entries of the tables have it.
REFERENCE = re.compile(r"(\w+(?:\.\w+)+)(?::\w+)?")


def code_sha256(module: str, lookups: Iterable[Lookup] = ()) -> str:
    """Returns one hash of a module and of every module of this project that it runs.

    Args:
        module: str. Dotted name.
        lookups: the entries that it looks up in tables, as (table, key).
    """
    chosen = frozenset(lookups)
    digest = hashlib.sha256()
    for name in code_of(module, chosen):
        digest.update(f"{name} {_meaning(name, _chosen_keys(name, chosen))}\n".encode())
    definitions = definition_files()
    for table, key in sorted(chosen):
        if table == CORPORA and key in definitions:
            content = hashlib.sha256(definitions[key].read_bytes()).hexdigest()
            digest.update(f"{key} {content}\n".encode())
    return digest.hexdigest()


def code_of(module: str, lookups: Iterable[Lookup] = ()) -> list[str]:
    """Returns the module's name and those of all modules of this project that it runs.

    The packages around the module itself are left out, because they take no part in its work.

    Args:
        module: str. Dotted name.
        lookups: the entries that it looks up in tables, as (table, key).

    Example:
        >>> code_of("ser_keras.labels")
        ['ser_keras', 'ser_keras.errors', 'ser_keras.labels']
    """
    reached: set[str] = set()
    waiting = [module]
    for table, key in lookups:
        waiting += _modules_of_entry(table, key)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _imports(name)
    return sorted(reached)


@cache
def _imports(module: str) -> tuple[str, ...]:
    """Returns the modules of this project, and the packages around them, that a module imports."""
    return _with_packages(_imported_names(_tree(module)), module)


@cache
def _modules_of_entry(table: str, key: str) -> tuple[str, ...]:
    """Returns the modules, and the packages around them, that an entry of a table names."""
    module, _, name = table.rpartition(".")
    entries = _entries(_tree(module), name)
    if key not in entries:
        return (module,)
    references = [
        match[1]
        for node in ast.walk(entries[key])
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if (match := REFERENCE.fullmatch(node.value))
    ]
    return (module, *_with_packages(references, module))


def _with_packages(names: Iterable[str], importer: str) -> tuple[str, ...]:
    """Returns those of the names that are modules of this project, with their packages."""
    known = {*PACKAGES, importer.partition(".")[0]}
    modules: set[str] = set()
    for name in names:
        parts = name.split(".")
        if parts[0] in known:
            modules.update(".".join(parts[:count]) for count in range(1, len(parts) + 1))
    return tuple(name for name in sorted(modules) if _file(name) is not None)


def _imported_names(tree: ast.Module) -> Iterator[str]:
    """Yields what a source imports; of `from a import b` both, because b may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _chosen_keys(module: str, lookups: Collection[Lookup]) -> frozenset[tuple[str, str]]:
    """Returns (name of the table, key) of the lookups in tables of a module."""
    return frozenset(
        (table.rpartition(".")[2], key)
        for table, key in lookups
        if table.rpartition(".")[0] == module
    )


@cache
def _meaning(module: str, chosen: frozenset[tuple[str, str]]) -> str:
    """Returns a hash of a source without comments, docstrings and entries that are not chosen."""
    tree = _parsed(module)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            first = body[0].value
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                body.pop(0)
    for table in TABLES:
        owner, _, name = table.rpartition(".")
        if owner == module:
            _keep_entries(tree, name, {key for chosen_name, key in chosen if chosen_name == name})
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _keep_entries(tree: ast.Module, table: str, keys: Collection[str]) -> None:
    """Removes the other entries of a table from a source."""
    literal = _table(tree, table)
    if literal is not None:
        entries = zip(literal.keys, literal.values, strict=True)
        kept = [(key, value) for key, value in entries if _text(key) in keys]
        literal.keys[:] = [key for key, _ in kept]
        literal.values[:] = [value for _, value in kept]


def _entries(tree: ast.Module, table: str) -> dict[str, ast.expr]:
    """Returns the entries of a table by their keys."""
    literal = _table(tree, table)
    if literal is None:
        return {}
    return {_text(key): value for key, value in zip(literal.keys, literal.values, strict=True)}


def _table(tree: ast.Module, name: str) -> ast.Dict | None:
    """Returns the literal dict that a source assigns to a name, None where there is none."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            value = getattr(node, "value", None)
            return value if isinstance(value, ast.Dict) else None
    return None


def _text(key: ast.expr | None) -> str:
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else ""


@cache
def _tree(module: str) -> ast.Module:
    return _parsed(module)


def _parsed(module: str) -> ast.Module:
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
