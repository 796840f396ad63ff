"""Component: trains and tests some folds of a protocol, or all of them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.components.contract import Component, ComponentResult, ComponentSpec, Parameter, Task
from pipeline.components.tables import CORPORA, FEATURE_KINDS, MODELS, Lookup

SPEC = ComponentSpec(
    name="trainer",
    about="Trains and tests folds of a protocol, with a recipe or the best settings of a search.",
    parameters={
        "protocol": Parameter(str, "named protocol, see `ser corpora`", required=True),
        "recipe": Parameter(str, "name of a recipe or a YAML file; not used with a search", "demo"),
        "weights": Parameter(Path, "file of pretrained backbone weights"),
        "folds": Parameter(list, "only these folds; all if empty", ()),
        "set": Parameter(list, "changes of the recipe, such as epochs=20", ()),
        "classes": Parameter(str, "class set; the protocol's own if empty", ""),
        "seed": Parameter(int, "seed of the folds", 0),
    },
    inputs={"features": "Features", "settings": "Settings"},
    outputs={"model": "Model"},
    optional=frozenset({"settings"}),
    resumes=True,
)


def reads(parameters: Mapping[str, Any]) -> Iterable[Path]:
    """Yields the recipe's file and the pretrained weights."""
    from ser_keras.config import recipe_path

    yield recipe_path(parameters["recipe"])
    if parameters["weights"] is not None:
        yield parameters["weights"]


def looks_up(parameters: Mapping[str, Any], inputs: Mapping[str, Path]) -> Iterable[Lookup]:
    """Yields the recipe's model, the kind of the features, and the corpus of the protocol."""
    from ser_keras.config import load_config
    from ser_keras.data.feature_set import FeatureSet
    from ser_keras.protocols.build import corpus_of_protocol

    recipe = recipe_of(parameters, inputs)
    yield MODELS, load_config(recipe, parameters["set"]).model.name
    yield FEATURE_KINDS, FeatureSet.open(inputs["features"]).schema.spec["kind"]
    yield CORPORA, corpus_of_protocol(parameters["protocol"])


def recipe_of(parameters: Mapping[str, Any], inputs: Mapping[str, Path]) -> str:
    """Returns the recipe: the best settings of a search, or the one of the parameters."""
    return str(inputs["settings"] / "best.yaml" if "settings" in inputs else parameters["recipe"])


def execute(task: Task) -> ComponentResult:
    """Trains the folds that are not trained yet.

    Inputs: `features`; `settings`, whose best.yaml replaces the recipe. Outputs: `model`, a run's
    folder with result.json, as `ser crossval` writes it.
    """
    from ser_keras.config import load_config
    from ser_keras.data.feature_set import FeatureSet
    from ser_keras.experiments.crossval import run_crossval
    from ser_keras.experiments.provenance import command
    from ser_keras.experiments.searched_folds import searched_folds
    from ser_keras.protocols import build_protocol

    given = task.parameters
    recipe = recipe_of(given, task.inputs)
    weights = [] if given["weights"] is None else [f"model.weights={given['weights']}"]
    config = load_config(recipe, [*given["set"], *weights])
    feature_set = FeatureSet.open(task.inputs["features"])
    protocol = build_protocol(
        given["protocol"],
        feature_set.rows,
        class_set=given["classes"] or None,
        seed=given["seed"],
    )
    result = run_crossval(
        {Path(recipe).stem: config},
        feature_set,
        protocol,
        task.outputs["model"],
        folds=given["folds"],
        searched=searched_folds(recipe),
        command=command(),
        progress=lambda fold, epoch, epochs, logs: task.progress(
            f"fold {fold}, loss {logs['loss']:.3f}, epoch", epoch, epochs
        ),
    )
    trained = {record["fold"] for record in result["folds"]}
    seen_keys = {
        key for fold in protocol.folds if fold.name in trained for key in (*fold.train, *fold.valid)
    }
    return ComponentResult(
        {
            "model": result["model"],
            "ua": result["pooled"]["ua"],
            "wa": result["pooled"]["wa"],
            "folds": sorted(trained),
            "speakers": sorted(
                {f"{row.corpus}/{row.speaker}" for row in feature_set.rows if row.key in seen_keys}
            ),
        }
    )


COMPONENT = Component(SPEC, execute, reads, looks_up)
