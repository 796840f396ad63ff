"""A blessed export to where servers look for it."""

from pathlib import Path

from pipeline.components.contract import Component, ComponentSpec, Outcome, Parameter, Task
from pipeline.statistics.file import as_json
from ser_keras.files import replacing

PUSHED = "pushed.json"

SPEC = ComponentSpec(
    name="pusher",
    about="Publishes an export that evaluator and infra validator have blessed, by one rename.",
    parameters={
        "base": Parameter(str, "folder of the server's models", required=True),
        "name": Parameter(str, "what the server calls the model; the export's own if empty", ""),
    },
    inputs={"export": "Export", "evaluation": "Evaluation", "blessing": "InfraBlessing"},
    outputs={"pushed": "Pushed"},
)


def execute(task: Task) -> Outcome:
    """Publishes `<base>/<name>/<next version>`, or finds the same content there already.

    Inputs: `export`, `evaluation`, `blessing`. Outputs: `pushed`, with pushed.json.
    """
    from pipeline.gates.push import push

    facts = push(
        task.inputs["export"],
        task.inputs["evaluation"],
        task.inputs["blessing"],
        Path(task.parameters["base"]),
        task.parameters["name"],
    )
    with replacing(task.outputs["pushed"] / PUSHED) as stream:
        stream.write(as_json(facts))
    return Outcome(facts)


COMPONENT = Component(SPEC, execute)
