"""Turns a text into capitals."""

from pipeline.components.contract import Component, ComponentResult, ComponentSpec, Parameter
from ser_keras.errors import CorpusError
from tests.pipeline.toys import LOG, log, read, write
from tests.pipeline.toys.loud import loud

SPEC = ComponentSpec(
    name="shout",
    about="Shouts.",
    parameters={"end": Parameter(str, "what is added", ""), "log": LOG},
    inputs={"text": "Text"},
    outputs={"text": "Text"},
)


def execute(task):
    log(task.parameters, "shout")
    text = read(task.inputs["text"])
    if "broken" in text:
        raise CorpusError("the text is broken. Mend it.")
    if "bug" in text:
        raise ZeroDivisionError
    write(task.outputs["text"], loud(text) + task.parameters["end"])
    return ComponentResult()


COMPONENT = Component(SPEC, execute)
