"""Component: searches for the settings that are best on validation speakers."""

import importlib
import shutil
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pipeline.components.contract import Component, ComponentResult, ComponentSpec, Parameter, Task
from pipeline.components.tables import CORPORA, FEATURE_KINDS, MODELS, Lookup
from ser_keras.files import parse_yaml

# Draws the finished search for people to read. No step takes it in, so it is imported by name: its
# layout is no reason to search again.
REPORT = "tuning.report"

SPEC = ComponentSpec(
    name="tuner",
    about="Searches for settings on speakers that are in no test part. Can be left out.",
    parameters={
        "space": Parameter(str, "system whose search space is used, or a YAML file", required=True),
        "protocol": Parameter(str, "named protocol, see `ser corpora`", required=True),
        "strategy": Parameter(str, "random, bayesian or hyperband", "random"),
        "trials": Parameter(int, "number of trials", 20),
        "folds": Parameter(list, "folds whose validation part scores; the first two if empty", ()),
        "set": Parameter(list, "changes of all trials, such as epochs=5", ()),
        "classes": Parameter(str, "class set; the protocol's own if empty", ""),
        "trial_epochs": Parameter(int, "epochs of each trial; the best settings keep the recipe's"),
        "seed": Parameter(int, "seed of the choice of trials", 0),
    },
    inputs={"features": "Features"},
    outputs={"settings": "Settings"},
    resumes=True,
)


def reads(parameters: Mapping[str, Any]) -> Iterable[Path]:
    """Yields the search space's file and that of the recipe that it varies."""
    from ser_keras.config import recipe_path

    path = _space_path(parameters)
    yield path
    if "recipe" in (space := _read_space(path)):
        yield recipe_path(space["recipe"])


def looks_up(parameters: Mapping[str, Any], inputs: Mapping[str, Path]) -> Iterable[Lookup]:
    """Yields the models of the trials, the kind of the features, and the protocol's corpus."""
    from ser_keras.config import load_config
    from ser_keras.data.feature_set import FeatureSet
    from ser_keras.protocols.build import corpus_of_protocol

    space = _read_space(_space_path(parameters))
    if "recipe" in space:
        yield MODELS, load_config(space["recipe"], parameters["set"]).model.name
    settings = space.get("settings") or {}
    yield from ((MODELS, name) for name in settings.get("model.name", {}).get("values", ()))
    yield FEATURE_KINDS, FeatureSet.open(inputs["features"]).schema.spec["kind"]
    yield CORPORA, corpus_of_protocol(parameters["protocol"])


def _space_path(parameters: Mapping[str, Any]) -> Path:
    path = Path(parameters["space"])
    if path.suffix not in (".yaml", ".yml"):
        path = Path(str(resources.files("tuning") / "spaces" / f"{path}.yaml"))
    return path


def _read_space(path: Path) -> dict[str, Any]:
    """Returns a search space as plain values, empty where there is none.

    It is read without keras-tuner, which takes seconds to import; the search reports its mistakes.
    """
    try:
        space = parse_yaml(path.read_bytes()) if path.is_file() else None
    except ValueError:
        return {}
    return space if isinstance(space, dict) else {}


def execute(task: Task) -> ComponentResult:
    """Runs the trials that are missing.

    Inputs: `features`. Outputs: `settings`: best.yaml, search.json, the report, and every trial's
    configuration and record; no weights.
    """
    from ser_keras.data.feature_set import FeatureSet
    from ser_keras.experiments.provenance import command
    from ser_keras.protocols import build_protocol
    from tuning.search import Search, default_folds, run_search
    from tuning.space import load_space

    given, output = task.parameters, task.outputs["settings"]
    feature_set = FeatureSet.open(task.inputs["features"])
    protocol = build_protocol(
        given["protocol"], feature_set.rows, class_set=given["classes"] or None
    )
    search = Search(
        load_space(given["space"]),
        given["strategy"],
        given["trials"],
        tuple(given["folds"] or default_folds(protocol, 2)),
        tuple(given["set"]),
        given["seed"],
        given["trial_epochs"],
    )
    result = run_search(
        search,
        feature_set,
        protocol,
        output,
        command=command(),
        progress=lambda fold, epoch, epochs, logs: task.progress(
            f"fold {fold}, epoch", epoch, epochs
        ),
    )
    importlib.import_module(REPORT).write_report(result, output)
    for folds in output.glob("trials/*/*/"):
        shutil.rmtree(folds)
    best = next(record for record in result["trials"] if record["trial"] == result["best"])
    return ComponentResult(
        {"trials": len(result["trials"]), "best": result["best"], "ua": best["ua"]}
    )


COMPONENT = Component(SPEC, execute, reads, looks_up)
