"""Component: exports a trained fold as a SavedModel that takes raw speech."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.components.contract import Component, ComponentResult, ComponentSpec, Parameter, Task
from pipeline.components.tables import CORPORA, FEATURE_KINDS, MODELS, Lookup

SPEC = ComponentSpec(
    name="exporter",
    about="Writes a trained fold as a SavedModel and compares its answers with training.",
    parameters={
        "fold": Parameter(str, "fold of the run; needed if it has several", ""),
        "name": Parameter(str, "name of the model on the server; the system's if empty", ""),
    },
    inputs={"model": "Model", "features": "Features", "corpus": "Corpus"},
    outputs={"export": "Export"},
)


def looks_up(parameters: Mapping[str, Any], inputs: Mapping[str, Path]) -> Iterable[Lookup]:
    """Yields the models of the run's folds, and the kind and the corpus of the features."""
    from ser_keras.data.feature_set import FeatureSet
    from ser_keras.training.history import read_fold_record

    for record in sorted(inputs["model"].glob("folds/*/fold.json")):
        yield MODELS, read_fold_record(record)["config"]["model"]["name"]
    schema = FeatureSet.open(inputs["features"]).schema
    yield FEATURE_KINDS, schema.spec["kind"]
    yield CORPORA, schema.corpus


def execute(task: Task) -> ComponentResult:
    """Exports a fold and checks the export.

    Inputs: `model`, a run; `features` and `corpus`, on which it was trained. Outputs: `export`, the
    folder of a version, with saved_model.pb.
    """
    from pipeline.features.corpus_artifact import load_corpus
    from serving.export.export import export_model
    from serving.export.trained_model import open_run

    given, export = task.parameters, task.outputs["export"]
    task.progress("reading the run", 0, 0)
    trained = open_run(task.inputs["model"], task.inputs["features"], given["fold"] or None)
    task.progress("writing and checking the SavedModel", 0, 0)
    corpus = load_corpus(task.inputs["corpus"])
    base = export / ".base"
    version = export_model(trained, corpus.data_dir, base, name=given["name"] or None)
    facts = {"fold": trained.record["fold"], "name": version.parent.name}
    # The artifact is the version's folder itself; the pusher chooses the version number.
    for path in version.iterdir():
        path.rename(export / path.name)
    version.rmdir()
    version.parent.rmdir()
    base.rmdir()
    return ComponentResult(facts | {"weights_sha256": trained.record["weights_sha256"]})


COMPONENT = Component(SPEC, execute, looks_up=looks_up)
