"""A trained fold into a SavedModel that takes raw speech: a candidate for the servers."""

from pipeline.components.contract import Component, ComponentSpec, Outcome, Parameter, Task

SPEC = ComponentSpec(
    name="exporter",
    about="Writes a trained fold as a SavedModel and compares it with training.",
    parameters={
        "fold": Parameter(str, "the run's fold; needed if it has several", ""),
        "name": Parameter(str, "what the server calls the model; the system's if empty", ""),
    },
    inputs={"model": "Model", "features": "Features", "corpus": "Corpus"},
    outputs={"export": "Export"},
)


def execute(task: Task) -> Outcome:
    """Exports and checks.

    Inputs: `model`, a run; `features` and `corpus` that it was trained on. Outputs: `export`, the
    folder of a version, with saved_model.pb.
    """
    from pipeline.features.corpus_artifact import load_corpus
    from serving.export.export import export_model, open_run

    given, export = task.parameters, task.outputs["export"]
    task.progress("reading the run", 0, 0)
    trained = open_run(task.inputs["model"], task.inputs["features"], given["fold"] or None)
    task.progress("writing and checking the SavedModel", 0, 0)
    corpus = load_corpus(task.inputs["corpus"])
    base = export / ".base"
    version = export_model(trained, corpus.data_dir, base, name=given["name"] or None)
    facts = {"fold": trained.record["fold"], "name": version.parent.name}
    # The artifact is the version's folder itself; its number is the pusher's to give.
    for path in version.iterdir():
        path.rename(export / path.name)
    version.rmdir()
    version.parent.rmdir()
    base.rmdir()
    return Outcome(facts | {"weights_sha256": trained.record["weights_sha256"]})


COMPONENT = Component(SPEC, execute)
