"""Components that work on one line of text, for tests of the pipeline around them."""

from pathlib import Path

from pipeline.components.contract import Parameter

TEXT = "text.txt"
# Each execution appends a line; the parameter does not change the result.
LOG = Parameter(str, "file that receives the name of every executed component", "", False, False)
TOYS = ("source", "shout", "join", "check", "steps", "push")


def read(folder: Path) -> str:
    """Returns the text of an artifact."""
    return (folder / TEXT).read_text()


def write(folder: Path, text: str) -> None:
    """Writes the text of an artifact."""
    (folder / TEXT).write_text(text)


def log(parameters, name: str) -> None:
    """Logs the execution of a component."""
    if parameters["log"]:
        with open(parameters["log"], "a") as file:
            file.write(f"{name}\n")
