"""Refuses a text with a forbidden word."""

from pipeline.components.contract import Component, ComponentResult, ComponentSpec, Parameter
from tests.pipeline.toys import LOG, log, read, write

SPEC = ComponentSpec(
    name="check",
    about="Checks.",
    parameters={"forbidden": Parameter(str, "word", "BAD"), "log": LOG},
    inputs={"text": "Text", "before": "Verdict"},
    outputs={"verdict": "Verdict"},
    optional=frozenset({"before"}),
)


def execute(task):
    log(task.parameters, "check")
    word, text = task.parameters["forbidden"], read(task.inputs["text"])
    before = read(task.inputs["before"]) if "before" in task.inputs else "nothing"
    write(task.outputs["verdict"], text)
    return ComponentResult({"before": before}, f"found {word}" if word in text else "")


COMPONENT = Component(SPEC, execute)
