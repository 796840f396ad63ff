"""The rules of who may import whom, as functions from source text to the list of what breaks them.

`RULES` at the end is the table; each rule takes a `Module` and yields one sentence per violation.
"""

import ast
import configparser
import importlib.metadata
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from ser_keras.labels import EMOTIONS

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("ser_keras", "pipeline", "tuning", "serving")

# Who may import which of the packages beside itself.
PACKAGE_IMPORTS = {
    "ser_keras": (),
    "tuning": ("ser_keras",),
    "serving": ("ser_keras",),
    "pipeline": ("ser_keras", "tuning", "serving"),
}
# A room is a folder or a module right below a package. It imports only what stands to its left.
ORDER = {
    "ser_keras": (
        *(
            "errors",
            "files",
            "labels",
            "settings",
            "config",
            "audio",
            "degradation",
            "annotations",
            "corpora",
            "protocols",
        ),
        *("audit", "metrics", "features", "data", "layers", "models", "recipes", "adaptation"),
        *("training", "experiments", "plots", "report", "cli", "__main__"),
    ),
    "serving": ("client", "ready", "export", "server", "explain", "web", "cli"),
    "pipeline": (
        *("publishing", "beam", "statistics", "features", "gates", "components", "lineage"),
        *("orchestration", "cli", "papers"),
    ),
}
# An outside package and the only place that may import it.
FENCES = {
    "apache_beam": "pipeline",
    "keras_tuner": "tuning",
    "gradio": "serving.web.page",
    "grpc": "serving",
    "tensorflow_serving": "serving",
    "matplotlib": "ser_keras.plots",
    "tensorflow_io": "ser_keras.data.augment",
    "opensmile": "ser_keras.features.kinds.opensmile",
}
FRAMEWORKS = ("tensorflow", "tensorflow_io", "keras", "jax", "torch")
# Listings and millisecond tests need these without a framework.
FRAMEWORK_FREE = (
    *("ser_keras.errors", "ser_keras.labels", "ser_keras.audio", "ser_keras.annotations"),
    *(
        "ser_keras.corpora",
        "ser_keras.report",
        "ser_keras.protocols",
        "ser_keras.audit",
        "ser_keras.metrics",
        "ser_keras.features",
    ),
    *("ser_keras.data.feature_set", "ser_keras.data.schema", "ser_keras.data.example"),
    *("ser_keras.data.record_files", "ser_keras.plots"),
    # The page imports them and leaves TensorFlow to the server.
    *("serving.explain.explain", "serving.web.view"),
)
USES_KERAS = (
    *("ser_keras.features.normalize", "ser_keras.features.frontend"),
    *("ser_keras.features.graph_features", "ser_keras.features.graph_prosody"),
    "ser_keras.features.graph_frames",
)
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "tools", "stuff"}
# Names of modules that readers could not guess from; a module is called after what it holds.
UNGUESSABLE = {
    *("attempt", "cause", "content", "ending", "measure", "outcome", "pace", "parts"),
    *("map_places", "own_process", "sampled", "attended", "verdict"),
}
# No quantity has one of these names.
EMPTY_NAMES = {"said", "heard", "found", "made", "told", "place", "each"}
MAX_LINES = 300
MAX_FUNCTION_LINES = 60
MAX_MODULES = 12
# Rooms of many equal things.
CROWDED = ("ser_keras.layers", "ser_keras.corpora")


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name and its text."""

    name: str
    text: str
    is_package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]

    @cached_property
    def imports(self) -> tuple[str, ...]:
        """Dotted names of everything imported at any depth, `from a import b` as `a.b`."""
        names = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names += [f"{node.module}.{alias.name}" for alias in node.names]
        return tuple(names)


def within(name: str, *parents: str) -> bool:
    """Tells whether a dotted name is one of the parents or inside one."""
    return any(name == parent or name.startswith(parent + ".") for parent in parents)


def modules() -> list[Module]:
    """Returns all modules of the packages that exist, by name."""
    parsed = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            parsed.append(Module(name, path.read_text(encoding="utf-8"), is_package))
    return parsed


def packages_point_down(module: Module) -> Iterator[str]:
    allowed = (module.package, *PACKAGE_IMPORTS[module.package])
    for name in module.imports:
        if within(name, *PACKAGES, "tests", "benchmarks") and not within(name, *allowed):
            yield f"imports {name}; {module.package} may import only {', '.join(allowed)}"


def imports_stand_to_the_left(module: Module) -> Iterator[str]:
    if module.package not in ORDER or module.name == module.package:
        return
    order = ORDER[module.package]
    own = module.name.split(".")[1]
    if own not in order:
        yield f"{own} has no place in the order {' | '.join(order)}"
        return
    for name in module.imports:
        room = name.split(".")[1] if within(name, module.package) and "." in name else own
        if room in order and order.index(room) > order.index(own):
            yield f"imports {name}, which stands to the right of {own}"


def fences_hold(module: Module) -> Iterator[str]:
    for name in module.imports:
        for outside, owner in FENCES.items():
            if within(name, outside) and not within(module.name, owner):
                yield f"imports {name}; only {owner} may"


def science_needs_no_framework(module: Module) -> Iterator[str]:
    if not is_framework_free(module.name):
        return
    for name in module.imports:
        if within(name, *FRAMEWORKS, *USES_KERAS):
            yield f"imports {name}; this module has to work without a framework"


def is_framework_free(name: str) -> bool:
    return within(name, *FRAMEWORK_FREE) and not within(name, *USES_KERAS)


def layers_know_only_keras(module: Module) -> Iterator[str]:
    if not within(module.name, "ser_keras.layers"):
        return
    for name in module.imports:
        standard = name.partition(".")[0] in sys.stdlib_module_names
        if not standard and not within(name, "keras", "ser_keras.layers"):
            yield f"imports {name}; a layer knows only keras and other layers"


def models_know_shapes_not_files(module: Module) -> Iterator[str]:
    if not within(module.name, "ser_keras.models"):
        return
    files = ("audio", "corpora", "protocols", "data")
    for name in module.imports:
        if within(name, *(f"ser_keras.{part}" for part in files)):
            yield f"imports {name}; a model knows shapes, never files"
        if within(name, "tensorflow", "jax", "torch"):
            yield f"imports {name}; a model runs on every backend of Keras"


def only_the_command_line_prints(module: Module) -> Iterator[str]:
    if within(module.name, "ser_keras.cli.app", "ser_keras.__main__"):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assert):
            yield f"line {node.lineno}: assert; raise a class of ser_keras.errors"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "exit", "sys.exit"):
            yield f"line {node.lineno}: {ast.unparse(node.func)}(); only the command line may"


def label_order_has_one_owner(module: Module) -> Iterator[str]:
    if module.name == "ser_keras.labels":
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Tuple | ast.List):
            words = [e.value for e in node.elts if isinstance(e, ast.Constant)]
            if len(set(EMOTIONS) & set(map(str, words))) > 2:
                yield f"line {node.lineno}: a class order; take it from ser_keras.labels"


def is_readable(module: Module) -> Iterator[str]:
    if not ast.get_docstring(module.tree):
        yield "has no docstring"
    lines = len(module.text.splitlines())
    if lines > MAX_LINES:
        yield f"has {lines} lines; {MAX_LINES} is the limit"
    vague = VAGUE.intersection(module.name.split("."))
    if vague:
        yield f"is called {', '.join(vague)}; name it after its noun"


def modules_are_named_after_what_they_hold(module: Module) -> Iterator[str]:
    name = module.name.rpartition(".")[2]
    if name in UNGUESSABLE:
        yield f"is called {name}; name it after what it holds"


def functions_are_short(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = code_lines(node)
            if lines > MAX_FUNCTION_LINES:
                yield (
                    f"line {node.lineno}: {node.name} has {lines} lines; {MAX_FUNCTION_LINES} is "
                    "the limit"
                )


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Returns the length of a function without its docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def names_say_what_they_hold(module: Module) -> Iterator[str]:
    for line, name in assigned_names(module.tree):
        if name.strip("_") in EMPTY_NAMES:
            yield f"line {line}: the name {name}; name the quantity"


def assigned_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yields line and name of every variable, argument, attribute and function of a source."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name


def imports_are_plain(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and (node.level or node.names[0].name == "*"):
            yield f"line {node.lineno}: {ast.unparse(node)}; write every name with its full module"
    if module.is_package:
        for node in module.tree.body:
            if isinstance(node, ast.Try | ast.If | ast.For | ast.While | ast.With):
                yield f"line {node.lineno}: an __init__ is a table of contents, not a program"


def requirements_are_declared(module: Module) -> Iterator[str]:
    for name in sorted({name.partition(".")[0] for name in module.imports}):
        if name in sys.stdlib_module_names or name in PACKAGES:
            continue
        distributions = _distributions().get(name, [name])
        if not {_normal(distribution) for distribution in distributions} & _declared():
            yield f"imports {name}, which setup.cfg does not require"


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


@cache
def _declared() -> frozenset[str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    sections = config["options"]["install_requires"], *config["options.extras_require"].values()
    lines = "\n".join(sections).splitlines()
    names = [re.match(r"[A-Za-z0-9._-]+", line.strip()) for line in lines]
    return frozenset(_normal(name.group()) for name in names if name)


Rule = Callable[[Module], Iterator[str]]
RULES: tuple[Rule, ...] = (
    packages_point_down,
    imports_stand_to_the_left,
    fences_hold,
    science_needs_no_framework,
    layers_know_only_keras,
    models_know_shapes_not_files,
    only_the_command_line_prints,
    label_order_has_one_owner,
    is_readable,
    modules_are_named_after_what_they_hold,
    functions_are_short,
    names_say_what_they_hold,
    imports_are_plain,
    requirements_are_declared,
)


def crowded_rooms() -> Iterator[str]:
    """Yields a sentence for every folder with more modules than can be overlooked."""
    rooms: dict[str, int] = {}
    for module in modules():
        if not module.is_package:
            room = module.name.rpartition(".")[0]
            rooms[room] = rooms.get(room, 0) + 1
    for room, count in rooms.items():
        if count > MAX_MODULES and room not in CROWDED:
            yield f"{room}: has {count} modules side by side; {MAX_MODULES} is the limit"


def main() -> None:
    """Lists what breaks a rule in modules that begin with one of the arguments."""
    chosen = tuple(sys.argv[1:]) or PACKAGES
    for module in modules():
        if within(module.name, *chosen):
            for rule in RULES:
                for why in rule(module):
                    sys.stdout.write(f"{module.name}: {why}\n")
    sys.stdout.writelines(f"{why}\n" for why in crowded_rooms())


if __name__ == "__main__":
    main()
