"""The import rules hold, each rule can fail, and the science runs without a framework."""

from importlib.metadata import entry_points

import pytest

from tests import architecture
from tests.architecture import PACKAGES, ROOT, RULES, Module
from tests.loaded import loaded_after

HEADER = '"""A module."""\n'


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_module_keeps_the_rule(rule):
    modules = architecture.modules()
    broken = [f"{module.name}: {why}" for module in modules for why in rule(module)]
    assert len(modules) > 20
    assert broken == []


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    [
        ("packages_point_down", "ser_keras.cli.app", "from pipeline.cli.features import features"),
        ("packages_point_down", "tuning.search", "def run():\n    import serving"),
        ("packages_point_down", "pipeline.cli.demo", "from tests.reference import mel"),
        ("imports_stand_to_the_left", "ser_keras.corpora.casia", "import ser_keras.features.specs"),
        ("imports_stand_to_the_left", "ser_keras.data.schema", "from ser_keras import training"),
        ("imports_stand_to_the_left", "ser_keras.novelty", ""),
        ("fences_hold", "ser_keras.data.batches", "import tensorflow_io as tfio"),
        ("fences_hold", "ser_keras.report.results_folder", "from matplotlib import pyplot"),
        ("fences_hold", "ser_keras.training.trainer", "import apache_beam.io"),
        ("science_needs_no_framework", "ser_keras.metrics", "def f():\n    import keras"),
        (
            "science_needs_no_framework",
            "ser_keras.features",
            "from ser_keras.features.normalize import FeatureNormalizer",
        ),
        ("layers_know_only_keras", "ser_keras.layers.pooling", "import tensorflow as tf"),
        ("layers_know_only_keras", "ser_keras.layers.pooling", "from ser_keras import labels"),
        ("models_know_shapes_not_files", "ser_keras.models.moma", "from ser_keras.data import x"),
        ("models_know_shapes_not_files", "ser_keras.models.moma", "import tensorflow"),
        ("only_the_command_line_prints", "ser_keras.audit", "print('leak')"),
        (
            "only_the_command_line_prints",
            "pipeline.orchestration.runner",
            "import sys\nsys.exit(1)",
        ),
        ("only_the_command_line_prints", "ser_keras.audio", "assert True"),
        ("label_order_has_one_owner", "ser_keras.metrics", "C = ['angry', 'happy', 'sad']"),
        ("is_readable", "ser_keras.audio", "x = 1\n" * 400),
        ("is_readable", "pipeline.utils", ""),
        ("modules_are_named_after_what_they_hold", "pipeline.outcome", ""),
        ("functions_are_short", "ser_keras.audio", "def f():\n" + "    x = 1\n" * 60),
        ("names_say_what_they_hold", "ser_keras.audio", "for each in ():\n    pass"),
        ("names_say_what_they_hold", "ser_keras.audio", "def f(found):\n    pass"),
        ("names_say_what_they_hold", "ser_keras.audio", "def _said():\n    pass"),
        ("imports_are_plain", "ser_keras.data.batches", "from .schema import Schema"),
        ("imports_are_plain", "ser_keras.data.batches", "from math import *"),
        ("requirements_are_declared", "pipeline.orchestration.runner", "import pytest_randomly"),
    ],
)
def test_rule_finds_a_wrong_source(rule, name, source):
    assert list(getattr(architecture, rule)(Module(name, HEADER + source)))


@pytest.mark.parametrize("folder", ["tests", "benchmarks", "docs", "examples"])
def test_names_say_what_they_hold_outside_of_the_packages(folder):
    broken = [
        f"{path.relative_to(ROOT)}: {why}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for why in architecture.names_say_what_they_hold(Module(folder, path.read_text("utf-8")))
    ]
    assert broken == []


def test_no_room_is_crowded(monkeypatch):
    assert list(architecture.crowded_rooms()) == []
    crowd = [Module(f"pipeline.beam.module{number}", HEADER) for number in range(13)]
    monkeypatch.setattr(architecture, "modules", lambda: crowd)
    assert len(list(architecture.crowded_rooms())) == 1


def test_rule_finds_a_missing_docstring():
    assert list(architecture.is_readable(Module("ser_keras.audio", "x = 1")))


def test_rule_finds_a_program_in_a_table_of_contents():
    source = HEADER + "try:\n    import ser_keras.plots\nexcept ImportError:\n    plots = None"
    assert list(architecture.imports_are_plain(Module("ser_keras.models", source, True)))


def test_rules_accept_what_they_allow():
    docstring = '    """' + "Says.\n    " * 60 + '"""\n'
    allowed = [
        Module("ser_keras.audio", HEADER + "def f():\n" + docstring + "    return 1"),
        Module(
            "ser_keras.cli.training", HEADER + "def f():\n    from ser_keras.plots import curves"
        ),
        Module("pipeline.features.writer", HEADER + "import apache_beam as beam"),
        Module("ser_keras.data.augment", HEADER + "import tensorflow_io"),
        Module("ser_keras.features.normalize", HEADER + "import keras"),
        Module("ser_keras.layers.pooling", HEADER + "import math\nfrom keras import ops"),
        Module("ser_keras.corpora.casia", HEADER + "CODES = {'a': 'angry', 's': 'sad'}"),
    ]
    assert [
        (module.name, why) for module in allowed for rule in RULES for why in rule(module)
    ] == []


def test_science_runs_without_a_framework():
    names = [m.name for m in architecture.modules() if architecture.is_framework_free(m.name)]
    assert "ser_keras.features.extract" in names
    loaded = loaded_after("\n".join(f"import {name}" for name in names))
    assert loaded.isdisjoint({"tensorflow", "keras", "apache_beam", "jax"})


def test_every_verb_is_a_function_of_a_package_here():
    verbs = entry_points(group="ser_keras.commands")
    assert {"corpora", "features", "train", "demo"} <= verbs.names
    for verb in verbs:
        assert callable(verb.load())
        assert verb.value.partition(".")[0] in PACKAGES
