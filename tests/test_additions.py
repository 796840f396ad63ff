"""What belongs to every registered thing is there, and CONTRIBUTING's lists say what that is."""

import ast
import re

import pytest

from ser_keras.config import load_config
from ser_keras.corpora.catalogue import DEFINITIONS, READERS
from ser_keras.features.specs import KINDS
from ser_keras.models import MODELS, RegisteredModel
from tests import architecture
from tests.architecture import ROOT

GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SYSTEMS = sorted(name for name, entry in MODELS.items() if not entry.baseline)
CORPORA = sorted(path.stem for path in DEFINITIONS.glob("*.yaml"))
REGISTERED = {"model": SYSTEMS, "corpus": CORPORA, "feature": KINDS, "protocol": ("any",)}


def listed(thing: str) -> list[str]:
    """Returns the files that CONTRIBUTING lists under `Add a <thing>`."""
    section = GUIDE.partition(f"\n### Add a {thing}\n")[2].partition("\n##")[0]
    return re.findall(r"^- `([^`]+)`", section, re.MULTILINE)


def lacks_of(name: str, entry: RegisteredModel) -> list[str]:
    """Returns what a registered system lacks, as sentences."""
    lacks = [
        f"{name} has no {path}"
        for pattern in listed("model")
        if "LAYER" not in pattern and not (ROOT / (path := pattern.replace("NAME", name))).is_file()
    ]
    recipe = ROOT / "ser_keras" / "recipes" / f"{name}.yaml"
    if recipe.is_file() and load_config(name).model.name != name:
        lacks.append(f"{name}: its recipe trains {load_config(name).model.name}")
    if not _has_oracle(name):
        lacks.append(f"{name} has no oracle: no test compares it with a reference")
    if "attention" not in entry.maps:
        lacks.append(f"{name} has no picture: its entry names no map called attention")
    return lacks


def _has_oracle(name: str) -> bool:
    """Tells whether the test of a model imports a reference or defines one."""
    test = ROOT / "tests" / "models" / f"test_{name}.py"
    tree = ast.parse(test.read_text(encoding="utf-8") if test.is_file() else "")
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    modules = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
    return "tests.reference" in modules or any(n.startswith("reference") for n in names)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_registered_model_lacks_nothing(name):
    assert lacks_of(name, MODELS[name]) == []


def test_what_a_model_lacks_is_named():
    lacks = "\n".join(lacks_of("bare", RegisteredModel("ser_keras.models.bare:build_bare")))
    for missing in (
        "ser_keras/models/bare.py",
        "ser_keras/recipes/bare.yaml",
        "tuning/spaces/bare.yaml",
        "tests/models/test_bare.py",
        "docs/systems/bare.md",
        "no oracle",
        "no picture",
    ):
        assert missing in lacks


@pytest.mark.parametrize("thing", REGISTERED)
def test_the_files_that_the_guide_lists_are_there_for_all_that_is_registered(thing):
    patterns = listed(thing)
    assert len(patterns) >= 2
    for pattern in patterns:
        for name in REGISTERED[thing]:
            if "LAYER" in pattern:
                assert list((ROOT / pattern).parent.glob("*.py"))
            else:
                assert (ROOT / pattern.replace("NAME", name)).is_file()


@pytest.mark.parametrize("name", READERS)
def test_a_corpus_that_needs_code_has_a_module_and_a_test(name):
    assert READERS[name] == f"ser_keras.corpora.{name}"
    assert (ROOT / "tests" / "corpora" / f"test_{name}.py").is_file()


def test_every_file_of_names_belongs_to_a_definition():
    names = {path.stem for path in (ROOT / "tests" / "corpora" / "names").glob("*.csv")}
    assert names == set(CORPORA)


def test_the_guide_states_the_rules_of_the_architecture():
    for package, rooms in architecture.ORDER.items():
        assert f"`{package}`: {' '.join(f'`{room}`' for room in rooms)}\n" in GUIDE
    for limit in (
        f"at most {architecture.MAX_LINES} lines",
        f"at most {architecture.MAX_FUNCTION_LINES} without its docstring",
        f"at most {architecture.MAX_MODULES} modules",
        ", ".join(f"`{name}`" for name in sorted(architecture.EMPTY_NAMES)),
    ):
        assert limit in GUIDE
    for outside, inside in architecture.FENCES.items():
        if "." not in outside and outside != "tensorflow_serving":
            assert f"`{outside}`" in GUIDE, inside
