"""Takes a text from an outside file, with its speakers."""

from pathlib import Path

from pipeline.components.contract import Component, ComponentResult, ComponentSpec, Parameter
from tests.pipeline.toys import LOG, log, write

SPEC = ComponentSpec(
    name="source",
    about="Reads a file.",
    parameters={
        "file": Parameter(Path, "file with the text", required=True),
        "speakers": Parameter(list, "names of the speakers", ()),
        "log": LOG,
    },
    outputs={"text": "Text"},
)


def execute(task):
    log(task.parameters, "source")
    write(task.outputs["text"], task.parameters["file"].read_text())
    return ComponentResult({"speakers": task.parameters["speakers"]})


COMPONENT = Component(SPEC, execute)
