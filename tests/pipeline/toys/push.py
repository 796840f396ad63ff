"""Copies a text to a folder outside the pipeline."""

from pathlib import Path

from pipeline.components.contract import Component, ComponentResult, ComponentSpec, Parameter
from tests.pipeline.toys import LOG, log, read, write

SPEC = ComponentSpec(
    name="push",
    about="Pushes.",
    parameters={"base": Parameter(str, "folder", required=True), "log": LOG},
    inputs={"text": "Text"},
    outputs={"pushed": "Pushed"},
)


def execute(task):
    log(task.parameters, "push")
    folder = Path(task.parameters["base"]) / "1"
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, read(task.inputs["text"]))
    write(task.outputs["pushed"], str(folder))
    return ComponentResult({"path": str(folder)})


COMPONENT = Component(SPEC, execute)
