"""Works in steps, each of which writes a file, and resumes with the missing ones."""

from pipeline.components.contract import Component, ComponentResult, ComponentSpec, Parameter
from ser_keras.errors import SerError
from tests.pipeline.toys import LOG, log, read

SPEC = ComponentSpec(
    name="steps",
    about="Steps.",
    parameters={
        "steps": Parameter(int, "number of steps", 3),
        "stumble": Parameter(int, "step at which it fails", 0, False, False),
        "log": LOG,
    },
    inputs={"text": "Text"},
    outputs={"text": "Text"},
    resumes=True,
)


def execute(task):
    text = read(task.inputs["text"])
    for step in range(1, task.parameters["steps"] + 1):
        file = task.outputs["text"] / f"{step}.txt"
        if not file.exists():
            if step == task.parameters["stumble"]:
                raise SerError(f"stumbled at {step}.")
            log(task.parameters, f"step {step}")
            file.write_text(text * step)
        task.progress("step", step, task.parameters["steps"])
    return ComponentResult()


COMPONENT = Component(SPEC, execute)
