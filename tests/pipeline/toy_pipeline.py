"""A pipeline of toy components, run in this process or in one that is killed.

`python -m tests.pipeline.toy_pipeline FILE PACKAGE WHEN PATH` registers the toys of a package in
the folder PATH, runs the pipeline and prints the nodes' states as JSON. WHEN is as in
`tests.pipeline.orchestration.killed_job`, or `never`.
"""

import json
import subprocess
import sys
from pathlib import Path

import yaml

from pipeline.components import COMPONENTS
from pipeline.lineage.store import Lineage
from pipeline.orchestration.pipeline_file import load_pipeline
from pipeline.orchestration.runner import run_pipeline
from tests.pipeline.orchestration.killed_job import die_at_rename, die_at_step
from tests.pipeline.toys import TOYS

REPOSITORY = Path(__file__).parents[2]

#   source -> shout -> join -> check -> guarded
#      \-> steps -----/
NODES = {
    "source": {"component": "source"},
    "shout": {"component": "shout", "inputs": {"text": "source"}},
    "steps": {"component": "steps", "inputs": {"text": "source"}},
    "join": {"component": "join", "inputs": {"left": "shout", "right": "source"}},
    "check": {"component": "check", "inputs": {"text": "join"}},
    "guarded": {"component": "shout", "inputs": {"text": "join.text"}, "after": ["check"]},
}


class ToyPipeline:
    """A pipeline of toys in a folder: its text, its file, its log of executions.

    `change(node, **parameters)` and `text` change it; `run()` returns each node's state.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.root = folder / "root"
        self.nodes = json.loads(json.dumps(NODES))
        self.text = "hello"
        self.change("source", file=str(folder / "input.txt"), speakers=["toys/anna"])

    @property
    def text(self) -> str:
        return (self.folder / "input.txt").read_text()

    @text.setter
    def text(self, text: str) -> None:
        (self.folder / "input.txt").write_text(text)

    def change(self, node: str, **parameters) -> None:
        self.nodes[node].setdefault("parameters", {}).update(parameters)

    def write(self) -> Path:
        for node in self.nodes:
            self.change(node, log=str(self.folder / "log.txt"))
        path = self.folder / "pipeline.yaml"
        values = {"name": "toys", "root": str(self.root), "nodes": self.nodes}
        path.write_text(yaml.safe_dump(values, sort_keys=False))
        return path

    def results(self, **options):
        """Runs the pipeline here; returns the result of each node by its name."""
        results = run_pipeline(load_pipeline(self.write()), **options)
        return {result.node: result for result in results}

    def run(self) -> dict[str, str]:
        return {name: result.state for name, result in self.results().items()}

    def start(self, package="tests.pipeline.toys", when="never", path=REPOSITORY):
        """Starts a process that runs the pipeline."""
        command = [sys.executable, "-m", "tests.pipeline.toy_pipeline", str(self.write())]
        return subprocess.Popen(
            [*command, package, when, str(path)],
            cwd=REPOSITORY,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run_apart(self, **options) -> dict[str, str]:
        """Runs the pipeline in a process of its own; returns each node's state."""
        out, err = self.start(**options).communicate()
        assert out, err
        return json.loads(out)

    def take_log(self) -> list[str]:
        """Returns what was executed since the last call."""
        path = self.folder / "log.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    @property
    def lineage(self) -> Lineage:
        return Lineage(self.root)

    def content(self) -> dict[str, str]:
        """Returns the text of every live artifact by node, output and file."""
        return {
            f"{record.node}.{output.key}/{name}": (self.root / output.uri / name).read_text()
            for record in self.lineage.live
            for output in record.outputs
            for name in output.files
        }


def register(package: str) -> dict[str, str]:
    """Returns the table of the toys of a package."""
    return {name: f"{package}.{name}" for name in TOYS}


def main() -> None:
    file, package, when, path = sys.argv[1:]
    sys.path.insert(0, path)
    COMPONENTS.update(register(package))
    kind, _, value = when.partition(":")
    pipeline = load_pipeline(file)
    steps = None
    if kind == "rename":
        die_at_rename(int(value))
    elif kind == "step":
        steps = die_at_step(int(value), str(pipeline.root))
    states = {result.node: result.state for result in run_pipeline(pipeline)}
    sys.stdout.write(json.dumps(steps.seen if when == "step:0" else states))


if __name__ == "__main__":
    main()
