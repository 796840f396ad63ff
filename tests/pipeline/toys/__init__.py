"""Components that work on one line of text, for what a pipeline does around its components."""

from pathlib import Path

from pipeline.components.contract import Parameter

TEXT = "text.txt"
# Where each execution writes a line; it is no part of what is asked.
LOG = Parameter(str, "file that gets the name of everything that is executed", "", False, False)
TOYS = ("source", "shout", "join", "check", "steps", "push")


def read(folder: Path) -> str:
    """Returns the text of an artifact."""
    return (folder / TEXT).read_text()


def write(folder: Path, text: str) -> None:
    """Writes the text of an artifact."""
    (folder / TEXT).write_text(text)


def log(parameters, name: str) -> None:
    """Writes down that a component is executed."""
    if parameters["log"]:
        with open(parameters["log"], "a") as file:
            file.write(f"{name}\n")
