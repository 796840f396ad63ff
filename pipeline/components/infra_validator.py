"""An export, tried where it will run: in a process that has TensorFlow alone."""

from pipeline.components.contract import Component, ComponentSpec, Outcome, Parameter, Task

SPEC = ComponentSpec(
    name="infra_validator",
    about="Lets a fresh process with TensorFlow alone load an export and answer requests.",
    parameters={
        "recordings": Parameter(int, "test utterances that are asked, where the run is given", 8),
        "timeout_s": Parameter(float, "how long loading and answering may take (s)", 300.0),
    },
    inputs={"export": "Export", "model": "Model", "features": "Features", "corpus": "Corpus"},
    outputs={"blessing": "InfraBlessing"},
    optional=frozenset({"model", "features", "corpus"}),
)


def execute(task: Task) -> Outcome:
    """Asks the export; refuses where an answer is not what it should be.

    Inputs: `export`, the folder of a version; `model` and `features`, the run that was exported,
    whose test utterances are asked and answers compared as well; `corpus`, to ask them as audio.
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
    return Outcome({"blessed": not reasons, **facts}, "; ".join(reasons))


COMPONENT = Component(SPEC, execute)
