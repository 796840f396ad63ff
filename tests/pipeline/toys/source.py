"""Takes a text from a file outside; says whose speech it is."""

from pathlib import Path

from pipeline.components.contract import Component, ComponentSpec, Outcome, Parameter
from tests.pipeline.toys import LOG, log, write

SPEC = ComponentSpec(
    name="source",
    about="Reads a file.",
    parameters={
        "file": Parameter(Path, "file with the text", required=True),
        "speakers": Parameter(list, "who speaks", ()),
        "log": LOG,
    },
    outputs={"text": "Text"},
)


def execute(task):
    log(task.parameters, "source")
    write(task.outputs["text"], task.parameters["file"].read_text())
    return Outcome({"speakers": task.parameters["speakers"]})


COMPONENT = Component(SPEC, execute)
