"""Puts texts together."""

from pipeline.components.contract import Component, ComponentResult, ComponentSpec
from tests.pipeline.toys import LOG, log, read, write

SPEC = ComponentSpec(
    name="join",
    about="Joins.",
    parameters={"log": LOG},
    inputs={"left": "Text", "right": "Text"},
    outputs={"text": "Text", "size": "Size"},
    optional=frozenset({"right"}),
)


def execute(task):
    log(task.parameters, "join")
    text = "+".join(read(task.inputs[key]) for key in ("left", "right") if key in task.inputs)
    write(task.outputs["text"], text)
    write(task.outputs["size"], str(len(text)))
    return ComponentResult({"size": len(text)})


COMPONENT = Component(SPEC, execute)
