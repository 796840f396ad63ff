"""Component: publishes a blessed export in the folder of the model servers."""

from pathlib import Path

from pipeline.components.contract import Component, ComponentResult, ComponentSpec, Parameter, Task
from pipeline.statistics.file import as_json
from ser_keras.files import replacing

PUSHED = "pushed.json"

SPEC = ComponentSpec(
    name="pusher",
    about="Publishes an export that the evaluator and the infra validator blessed, by one rename.",
    parameters={
        "base": Parameter(str, "folder of the server's models", required=True),
        "name": Parameter(str, "name of the model on the server; the export's own if empty", ""),
    },
    inputs={"export": "Export", "evaluation": "Evaluation", "blessing": "InfraBlessing"},
    outputs={"pushed": "Pushed"},
)


def execute(task: Task) -> ComponentResult:
    """Publishes `<base>/<name>/<next version>`, unless the same content is there already.

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
    return ComponentResult(facts)


COMPONENT = Component(SPEC, execute)
