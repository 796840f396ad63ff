import importlib
import uuid

import pytest

from pipeline.components import COMPONENTS, tables
from pipeline.components.tables import CORPORA
from pipeline.orchestration import code_hash
from pipeline.orchestration.code_hash import code_of, code_sha256
from ser_keras.corpora import OWN_FOLDER
from ser_keras.corpora.catalogue import definition_files


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Returns a function that writes modules of a package and gives its name."""
    monkeypatch.syspath_prepend(tmp_path)
    name = f"package_{uuid.uuid4().hex}"

    def write(**sources):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "__init__.py").touch()
        for module, source in sources.items():
            (tmp_path / name / f"{module}.py").write_text(source.replace("PACKAGE", name))
        for cached in vars(code_hash).values():
            if hasattr(cached, "cache_clear"):
                cached.cache_clear()
        return name

    return write


def test_imports_are_followed_at_any_depth_wherever_they_stand(package):
    name = package(
        top="import os\ndef f():\n    from PACKAGE import middle\n",
        middle="import PACKAGE.bottom as b, numpy\n",
        bottom="from ser_keras.errors import SerError\n",
        beside="TABLE = {'top': 'PACKAGE.top'}\n",
    )
    expected = [name, *(f"{name}.{module}" for module in ("bottom", "middle", "top"))]
    assert code_of(f"{name}.top") == [*expected, "ser_keras", "ser_keras.errors"]
    assert code_of(f"{name}.beside") == [f"{name}.beside"]


def test_modules_that_import_each_other_are_no_circle(package):
    name = package(one="import PACKAGE.two\n", two="import PACKAGE.one\n")
    assert code_of(f"{name}.one") == code_of(f"{name}.two")


@pytest.mark.parametrize(
    ("source", "same"),
    [
        ('"""A module."""\n\n\ndef f(x):\n    """Adds."""\n    return x + 1\n', True),
        ("def f(x): return (x\n  + 1)  # a comment\n", True),
        ("def f(x):\n    return x + 2\n", False),
        ("def f(x, y=0):\n    return x + 1\n", False),
        ("def f(x):\n    return x + 1\nf.__doc__ = 'Adds.'\n", False),
    ],
)
def test_what_a_source_does_counts_and_what_it_says_does_not(package, source, same):
    name = package(top="import PACKAGE.bottom\n", bottom="def f(x):\n    return x + 1\n")
    before = code_sha256(f"{name}.top")
    package(bottom=source)
    assert (code_sha256(f"{name}.top") == before) is same


def test_components_depend_on_their_own_work_alone():
    features, trainer = (code_of(COMPONENTS[name]) for name in ("feature_gen", "trainer"))
    assert "pipeline.features.writer" in features
    assert "ser_keras.training.trainer" not in features
    assert "ser_keras.training.trainer" in trainer
    assert "pipeline.features.writer" not in trainer
    for name in COMPONENTS.values():
        assert "pipeline.orchestration.runner" not in code_of(name)


def test_of_a_table_only_the_entries_that_are_looked_up_count(package, monkeypatch):
    sources = {
        "top": "import PACKAGE.table\n",
        "table": 'TABLE = {"a": Entry("PACKAGE.a:build", 1), "b": "PACKAGE.b"}\nREST = 1\n',
        "a": "import PACKAGE.below\n",
        "b": "",
        "below": "",
    }
    name = package(**sources)
    table = f"{name}.table.TABLE"
    monkeypatch.setattr(code_hash, "TABLES", (table,))
    top = f"{name}.top"
    assert code_of(top) == [name, f"{name}.table", top]
    with_a = [name, *(f"{name}.{module}" for module in ("a", "below", "table", "top"))]
    assert code_of(top, [(table, "a")]) == with_a

    def keys():
        lookups = ([], [(table, "a")], [(table, "b")])
        return [code_sha256(top, chosen) for chosen in lookups]

    before = keys()
    assert len(set(before)) == 3

    def changed(**edited):
        package(**edited)
        after = keys()
        package(**sources)
        return [first != second for first, second in zip(before, after, strict=True)]

    assert changed(below="x = 1\n") == [False, True, False]
    assert changed(b="x = 1\n") == [False, False, True]
    text = sources["table"]
    assert changed(table=text.replace(", 1)", ", 2)")) == [False, True, False]
    assert changed(table=text.replace('"b": ', '"c": "PACKAGE.c", "b": ')) == [False] * 3
    assert changed(table=text.replace("REST = 1", "REST = 2")) == [True] * 3


def test_an_unknown_key_of_a_table_changes_nothing_but_is_no_error():
    assert code_of(COMPONENTS["pusher"], [(tables.MODELS, "mona")])


@pytest.mark.parametrize("table", tables.TABLES)
def test_every_table_is_a_literal_of_names_and_modules(table):
    module, _, name = table.rpartition(".")
    entries = code_hash._entries(code_hash._tree(module), name)
    assert set(entries) == set(getattr(importlib.import_module(module), name))
    for key in entries:
        assert len(code_of(module, [(table, key)])) > len(code_of(module))


def test_the_definition_of_a_corpus_counts_for_steps_that_look_it_up(tmp_path, monkeypatch):
    text = definition_files()["emodb"].read_text(encoding="utf-8")
    own = tmp_path / "berlin.yaml"
    monkeypatch.setenv(OWN_FOLDER, str(tmp_path))

    def keys(content):
        own.write_text(content, encoding="utf-8")
        lookups = ([], [(CORPORA, "emodb")], [(CORPORA, "berlin")])
        return [code_sha256("ser_keras.labels", chosen) for chosen in lookups]

    before, after = keys(text), keys(text.replace("German", "Deutsch"))
    assert [first == second for first, second in zip(before, after, strict=True)] == [
        *(True, True, False)
    ]
    assert before[0] != before[1]
