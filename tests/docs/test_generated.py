"""The reference has everything there is: commands, keys, components, errors."""

import dataclasses
import doctest
import json
import re
from importlib.metadata import entry_points

import pytest
import yaml
from typer.main import get_command

import ser_keras
from docs import error_messages, generated, tables
from docs.error_messages import ROOT
from ser_keras import errors
from ser_keras.cli.app import make_app

MARK = re.compile(r"<!-- generated: (.+?) -->")


def sections(text):
    """Returns the parts of a page by the words of their headings."""
    pieces = re.split(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def leaves(command, name="ser"):
    if not hasattr(command, "commands"):
        return {name: command}
    verbs = [leaves(below, f"{name} {verb}") for verb, below in command.commands.items()]
    return {name: leaf for commands in verbs for name, leaf in commands.items()}


def flat(values, prefix=""):
    for key, value in values.items():
        if dataclasses.is_dataclass(value):
            yield from flat(vars(value), f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def test_every_verb_and_option_is_described():
    page = sections(generated.commands())
    known = leaves(get_command(make_app()))
    assert set(page) == set(known)
    assert {name.split()[1] for name in page} == entry_points(group="ser_keras.commands").names
    for name, command in known.items():
        assert command.help.splitlines()[0] in page[name]
        for parameter in command.params:
            assert all(
                f"`{spelling}" in page[name] for spelling in parameter.opts if spelling[0] == "-"
            )


def test_every_key_of_a_recipe_is_described():
    from ser_keras.config import TrainConfig

    page = generated.recipe_keys()
    keys = list(flat(vars(TrainConfig())))
    assert len(keys) > 40
    assert [key for key in keys if f"| `{key}` |" not in page] == []


def test_every_option_of_a_model_is_described():
    from ser_keras.models import MODELS, model_options

    page = sections(generated.model_options())
    assert {name.strip("`") for name in page} == set(MODELS)
    for name in MODELS:
        for option in model_options(name):
            assert f"| `model.options.{option}` |" in page[f"`{name}`"]
    assert "`objective.kl_weight`" in page["`predictive_vrnn`"]


def test_a_key_that_nobody_described_stops_the_build():
    @dataclasses.dataclass
    class Forgetful:
        """A section.

        Args:
            unit: int. Something.
        """

        unit: int = 1
        untold: int = 2

    with pytest.raises(KeyError, match="untold"):
        list(generated._sections(Forgetful, ""))


def test_every_recipe_corpus_protocol_and_spec_is_listed():
    from ser_keras.config import recipe_names
    from ser_keras.corpora import corpus_names
    from ser_keras.features.specs import KINDS, SPECS
    from ser_keras.protocols.builders import PROTOCOLS

    listed = {
        generated.recipes: recipe_names(),
        generated.corpora: corpus_names(),
        generated.corpora_in_full: [name for name in corpus_names() if sources_of(name)],
        generated.protocols: PROTOCOLS,
        generated.feature_specs: [*SPECS, *KINDS],
    }
    for make, names in listed.items():
        page = make()
        assert [name for name in names if f"`{name}`" not in page] == []


def sources_of(corpus):
    from ser_keras.corpora import get_corpus

    return get_corpus(corpus).info.sources


def test_every_fact_of_a_defined_corpus_has_its_source_on_the_page():
    from ser_keras.corpora import corpus_names

    page = generated.corpora_in_full()
    assert page.count("| layout from |") == len(list(filter(sources_of, corpus_names()))) >= 23


def test_every_parameter_of_a_component_is_described():
    from pipeline.components import COMPONENTS, get_component

    page = sections(generated.components())
    for name in COMPONENTS:
        spec = get_component(name).spec
        for key in (*spec.parameters, *spec.inputs, *spec.outputs):
            assert f"`{key}`" in page[f"`{name}`"]


def test_every_key_of_a_schema_of_data_is_described():
    from pipeline.statistics.schema import DataSchema

    page = generated.data_schema()
    assert all(f"| `{key.name}` |" in page for key in dataclasses.fields(DataSchema))


def test_every_search_and_study_is_listed():
    searches, studies = generated.search_spaces(), generated.studies()
    for folder, page in {"spaces": searches, "studies": studies}.items():
        files = list((ROOT / "tuning" / folder).glob("*.yaml"))
        assert files
        assert [file.stem for file in files if f"`{file.stem}`" not in page] == []
    assert "future work (Sec. 5.2)" in searches


def test_every_class_of_error_says_who_acts():
    text = generated.errors()
    page = sections(text)
    for cls in (errors.SerError, *errors.SerError.__subclasses__()):
        assert f"Exit code {cls.exit_code}." in page[cls.__name__]
        row = text.partition(f"[`{cls.__name__}`]")[2].splitlines()[0].split("|")
        assert all(len(cell.split()) > 2 for cell in row[1:3])


def test_messages_are_found_where_they_are_raised():
    messages = dict(error_messages.messages()["ConfigError"])
    text = messages["ser_keras.corpora.synthetic"]
    assert "found num_speakers=⟨num_speakers⟩" in text
    assert ("pipeline.components", "unknown component …; did you mean …? Known: ….") in (
        error_messages.messages()["ConfigError"]
    )


def test_every_part_has_its_place_and_every_place_its_part():
    pages = sorted((ROOT / "docs").rglob("*.md"))
    marks = [name for page in pages for name in MARK.findall(page.read_text(encoding="utf-8"))]
    assert sorted(marks) == sorted(generated.PARTS)


def test_a_section_that_the_results_lost_stops_the_build():
    assert "live streams at once" in generated.results_section("Speed of the server")
    with pytest.raises(KeyError, match="no section 'Dreams'"):
        generated.results_section("Dreams")


def test_the_examples_of_the_tables_are_true():
    assert doctest.testmod(tables) == (0, 4)


def test_the_notebook_is_kept_without_what_it_printed():
    cells = json.loads((ROOT / "docs" / "first_steps.ipynb").read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in cells)


def test_the_citation_names_this_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == ser_keras.__version__
    assert len(cited["references"]) == 5


def test_the_readme_is_read_in_a_few_minutes():
    assert len((ROOT / "README.md").read_bytes()) <= 9200, "Say it in docs/, and link to it."


def test_commands_in_the_pages_exist():
    described = sections(generated.commands())
    pages = {page: page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md")}
    wrong = [
        f"{page.name}: {why}" for page, text in pages.items() for why in unknown(text, described)
    ]
    assert len(pages) > 20
    assert wrong == []


def test_an_unknown_command_or_option_in_a_page_is_found():
    page = "```\nser run a.yaml \\\n    --grph x\nser rnu a.yaml\nser features -- --runner=X\n```\n"
    assert list(unknown(page, sections(generated.commands()))) == ["ser run --grph", "ser rnu"]


def unknown(page, described):
    """Yields the commands and options in a page's blocks of shell that are not in the reference."""
    for block in re.findall(r"^```\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        lines = block.replace("\\\n", " ")
        for name, rest in re.findall(
            r"(?:^|[|] *)(ser (?:(?:lineage|weights) )?[a-z-]+)([^|#\n]*)", lines, re.M
        ):
            if name not in described:
                yield name
                continue
            for option in re.findall(r"(?<= )--[a-z_-]+", rest.partition(" -- ")[0]):
                if f"`{option}" not in described[name]:
                    yield f"{name} {option}"
