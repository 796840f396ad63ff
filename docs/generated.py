"""The parts of the pages that are written from the code when the site is built.

Nothing is typed twice: options come from the command line's own objects, keys and their meaning
from dataclasses and docstrings, ranges from the files of the searches. `PARTS` at the end says what
stands in the place of `<!-- generated: NAME -->`.
"""

import dataclasses
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import typer
import yaml
from typer.main import get_command

from docs.error_messages import ROOT, errors
from docs.papers_tables import papers_tables
from docs.tables import arguments_of, code, described, plain, table, typed

# What the front matter of a system's page says.
SYSTEM_FACTS = ("features", "reads", "attends to")


def commands() -> str:
    """Returns every command of `ser` with its arguments and options, as `--help` says them."""
    from ser_keras.cli.app import make_app

    root = get_command(make_app())
    return "\n\n".join(_command(*leaf) for leaf in _leaves(root, typer.Context(root), "ser"))


def _leaves(command: Any, context: Any, name: str) -> Iterator[tuple[Any, Any, str]]:
    if not hasattr(command, "commands"):
        yield command, context, name
        return
    for verb, below in sorted(command.commands.items()):
        inside = typer.Context(below, parent=context, info_name=verb)
        yield from _leaves(below, inside, f"{name} {verb}")


def _command(command: Any, context: Any, name: str) -> str:
    records = [parameter.get_help_record(context) for parameter in command.params]
    rows = [(f"`{left}`".replace(" / ", "` / `"), right) for left, right in filter(None, records)]
    usage = " ".join(command.collect_usage_pieces(context))
    about = map(plain, inspect.cleandoc(command.help or "").split("\n\n"))
    parts = [f"## {name}", *about, f"```\n{name} {usage}\n```"]
    return "\n\n".join([*parts, table("option,meaning", rows)] if rows else parts)


def recipe_keys() -> str:
    """Returns every key of a recipe, section by section."""
    from ser_keras.config import TrainConfig

    return "\n\n".join(_sections(TrainConfig, ""))


def _sections(cls: Any, prefix: str) -> Iterator[str]:
    defaults = {key.name: getattr(cls(), key.name) for key in dataclasses.fields(cls)}
    below = {key: value for key, value in defaults.items() if dataclasses.is_dataclass(value)}
    about = (inspect.getdoc(cls) or "").partition("\n\n")[0]
    yield f"### {f'`{prefix[:-1]}`' if prefix else 'Top level'}\n\n{about}"
    own = {key: value for key, value in defaults.items() if key not in below}
    yield described(arguments_of(cls), own, prefix)
    for key, value in below.items():
        yield from _sections(type(value), f"{prefix}{key}.")


def recipes() -> str:
    """Returns a table of the recipes that come with the project."""
    from ser_keras.config import load_config, recipe_names, recipe_purpose

    rows = []
    for name in recipe_names():
        config, about = load_config(name), recipe_purpose(name)
        rows.append((f"`{name}`", config.settings, f"`{config.spec}`", config.epochs, about))
    return table("recipe,settings,features,epochs,about", rows)


def model_options() -> str:
    """Returns every option of every model, and the weights of what it is trained for."""
    from ser_keras.models import MODELS, model_builder, objective_of, objective_options
    from ser_keras.models import model_options as options_of

    parts = []
    for name, entry in MODELS.items():
        parts.append(f"### `{name}`")
        parts.append(_options(model_builder(name), options_of(name), "model.options"))
        if entry.objective:
            parts.append(_options(objective_of(name), objective_options(name), "objective"))
    return "\n\n".join(parts)


def _options(function: Callable[..., Any], defaults: dict[str, Any], prefix: str) -> str:
    return described(arguments_of(function), defaults, f"{prefix}.")


@dataclasses.dataclass(frozen=True)
class SystemPage:
    """The page of a system.

    Args:
        name: str. Of the model and of the page.
        title: str. Its heading.
        facts: mapping. Its front matter: "features", "reads" and "attends to".
    """

    name: str
    title: str
    facts: dict[str, str]


def system_pages() -> list[SystemPage]:
    """Returns the pages of the systems, by their titles."""
    pages = []
    for path in (ROOT / "docs" / "systems").glob("*.md"):
        text = path.read_text(encoding="utf-8")
        if path.stem != "index":
            _, facts, rest = text.split("---\n", 2)
            title = rest.lstrip().partition("\n")[0].removeprefix("# ")
            pages.append(SystemPage(path.stem, title, yaml.safe_load(facts)))
    return sorted(pages, key=lambda page: page.title.lower())


def systems() -> str:
    """Returns a table of the systems, each with a link to its page."""
    head = table("system,features of the paper,reads,attends to", [])
    rows = [
        " | ".join([f"[{page.title}]({page.name}.md)", *map(page.facts.get, SYSTEM_FACTS)])
        for page in system_pages()
    ]
    return "\n".join([head, *(f"| {row} |" for row in rows)])


def corpora() -> str:
    """Returns a table of the corpora."""
    from ser_keras.corpora import corpus_names, get_corpus

    rows = []
    for name in corpus_names():
        info = get_corpus(name).info
        size = "not known" if info.labels else "from the data"
        if info.utterances:
            size = f"{info.utterances}{f' by {info.num_speakers}' if info.num_speakers else ''}"
        classes = ", ".join(f"`{name}`" for name in info.class_sets) or "from the labels"
        languages = ", ".join(info.languages)
        rows.append((f"`{name}`", languages, size, classes, info.licence, info.access))
    return table("corpus,language,utterances by speakers,class sets,licence,how to get it", rows)


def corpora_in_full() -> str:
    """Returns what the definition of each corpus says, with where it is from."""
    from ser_keras.corpora import corpus_names, get_corpus
    from ser_keras.corpora.facts import facts_of
    from ser_keras.protocols import protocol_names

    parts = []
    for name in corpus_names():
        info = get_corpus(name).info
        if info.sources:
            facts = facts_of(info, protocol_names(name))
            parts += [f"## `{name}`", info.title, table("fact,of the corpus", facts)]
    return "\n\n".join(parts)


def protocols() -> str:
    """Returns a table of the protocols: how each divides its corpus."""
    from ser_keras.protocols.builders import (
        PROTOCOLS,
        leave_one_speaker_out,
        speaker_dependent,
        speaker_groups,
    )

    builders = {name: entry.build for name, entry in sorted(PROTOCOLS.items())}
    builders["<corpus>-loso"] = leave_one_speaker_out
    builders["<corpus>-groups<k>"] = speaker_groups
    builders["<corpus>-speaker-dependent-<k>"] = speaker_dependent
    return table("protocol,folds", [(f"`{n}`", _first(build)) for n, build in builders.items()])


def _first(function: Callable[..., Any]) -> str:
    """Returns the first line of a docstring, without the words that say what is returned."""
    line = (inspect.getdoc(function) or "").partition("\n")[0]
    return line.removeprefix("Returns ").removeprefix("the builder of ")


def feature_specs() -> str:
    """Returns a table of the feature specs, and of the fields that each kind has."""
    from ser_keras.features.specs import KINDS, SPECS, class_of_kind, get_spec

    rows = [
        (
            f"`{name}`",
            spec.kind,
            spec.dim,
            f"{1000 * spec.frame_length_s:.0f} ms every {1000 * spec.hop_s:.0f} ms",
            f"{spec.sample_rate_hz} Hz",
        )
        for name, spec in ((name, get_spec(name)) for name in SPECS)
    ]
    parts = [table("spec,kind,values per vector,frames,rate", rows)]
    for kind in KINDS:
        cls = class_of_kind(kind)
        # A class documents the fields that it adds.
        meaning = {k: v for base in reversed(cls.__mro__) for k, v in arguments_of(base).items()}
        defaults = {key.name: key.default for key in dataclasses.fields(cls)}
        parts += [f"### `{kind}`", _about(cls), described(meaning, defaults)]
    return "\n\n".join(parts)


def _about(cls: Any) -> str:
    """Returns what the docstring of a class says before its first section."""
    paragraphs = (inspect.getdoc(cls) or "").split("\n\n")
    sections = ("Args:", "Example:", "Departures:")
    return "\n\n".join(itertools.takewhile(lambda text: not text.startswith(sections), paragraphs))


def components() -> str:
    """Returns the contract of every component of a pipeline."""
    from pipeline.components import COMPONENTS, get_component

    parts = []
    for name in COMPONENTS:
        spec = get_component(name).spec
        wires = [
            f"Takes {_wires(spec.inputs, spec.optional)}." if spec.inputs else "Takes nothing.",
            f"Makes {_wires(spec.outputs)}.",
        ]
        parts += [f"### `{name}`", spec.about, " ".join(wires)]
        rows = [
            (
                f"`{key}`",
                parameter.kind.__name__.lower(),
                "required" if parameter.required else code(parameter.default),
                f"{parameter.about}{'' if parameter.changes_result else '; changes no result'}",
            )
            for key, parameter in spec.parameters.items()
        ]
        parts += [table("parameter,type,default,meaning", rows)] * bool(rows)
    return "\n\n".join(parts)


def _wires(artifacts: Any, optional: Iterable[str] = ()) -> str:
    return ", ".join(
        f"`{key}` ({kind}{', may be left out' if key in optional else ''})"
        for key, kind in artifacts.items()
    )


def data_schema() -> str:
    """Returns every key of a schema of data."""
    from pipeline.statistics.schema import DataSchema

    meaning = arguments_of(DataSchema)
    rows = [(f"`{f.name}`", *typed(meaning[f.name])) for f in dataclasses.fields(DataSchema)]
    return table("key,type,meaning", rows)


def search_spaces() -> str:
    """Returns what each search may change, and why."""
    from tuning.space import load_space, space_names

    parts = []
    for name in space_names():
        space = load_space(name)
        rows = []
        for setting in space.settings:
            scale = ", logarithmic" * setting.log
            span = f"{setting.low:g} to {setting.high:g}{scale}"
            choices = ", ".join(map(str, setting.values))
            rows.append((f"`{setting.key}`", choices or span, setting.why))
        parts += [f"### `{name}`", f"Varies `{space.recipe}`.", table("key,range,why", rows)]
    return "\n\n".join(parts)


def studies() -> str:
    """Returns a table of the studies."""
    from tuning.study import load_study, study_names

    rows = []
    for name in study_names():
        study = load_study(name)
        for line in study.lines:
            values = ", ".join(map(str, line.values))
            rows.append((f"`{name}`", line.about, study.paper, f"`{line.key}`", values))
    return table("study,line,what the paper says,key,values", rows)


def results_section(heading: str) -> str:
    """Returns a section of the page of results, without its heading.

    Raises:
        KeyError: there is no such section.
    """
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    _, marker, after = text.partition(f"\n## {heading}\n")
    if not marker:
        raise KeyError(f"docs/results.md has no section {heading!r}")
    return after.partition("\n## ")[0].strip()


PARTS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "recipe keys": recipe_keys,
    "recipes": recipes,
    "model options": model_options,
    "systems": systems,
    "corpora": corpora,
    "corpora in full": corpora_in_full,
    "protocols": protocols,
    "feature specs": feature_specs,
    "components": components,
    "data schema": data_schema,
    "search spaces": search_spaces,
    "studies": studies,
    "errors": errors,
    "tables of the papers": papers_tables,
    "serving speed": lambda: results_section("Speed of the server"),
}
