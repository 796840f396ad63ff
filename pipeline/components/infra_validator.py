"""Component: tests an export in a process that has only TensorFlow."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.components.contract import Component, ComponentResult, ComponentSpec, Parameter, Task
from pipeline.components.tables import CORPORA, Lookup

SPEC = ComponentSpec(
    name="infra_validator",
    about="Lets a fresh process that has only TensorFlow load an export and answer requests.",
    parameters={
        "recordings": Parameter(int, "number of test utterances to send, if the run is given", 8),
        "timeout_s": Parameter(float, "time limit for loading and answering (s)", 300.0),
    },
    inputs={"export": "Export", "model": "Model", "features": "Features", "corpus": "Corpus"},
    outputs={"blessing": "InfraBlessing"},
    optional=frozenset({"model", "features", "corpus"}),
)


def looks_up(parameters: Mapping[str, Any], inputs: Mapping[str, Path]) -> Iterable[Lookup]:
    """Yields the corpus, whose recordings are sent if it is given."""
    from pipeline.features.corpus_artifact import load_corpus

    if "corpus" in inputs:
        yield CORPORA, load_corpus(inputs["corpus"]).corpus


def execute(task: Task) -> ComponentResult:
    """Sends requests to the export; refuses if an answer is not as expected.

    Inputs: `export`, the folder of a version; `model` and `features`, the run that was exported,
    whose test utterances are sent and whose answers are compared; `corpus`, to send them as audio.
    Outputs: `blessing`, with infra.json and BLESSED or NOT_BLESSED.
    """
    from pipeline.gates.infra import judge_export

    reasons, facts = judge_export(
        task.inputs["export"],
        task.outputs["blessing"],
        run=task.inputs.get("model"),
        features=task.inputs.get("features"),
        corpus=task.inputs.get("corpus"),
        recordings=task.parameters["recordings"],
        timeout_s=task.parameters["timeout_s"],
    )
    return ComponentResult({"blessed": not reasons, **facts}, "; ".join(reasons))


COMPONENT = Component(SPEC, execute, looks_up=looks_up)
