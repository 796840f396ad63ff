"""Runs a component in a process of its own and prints which modules of the project it loaded.

`python -m tests.pipeline.components.loaded_modules TASK`: TASK is JSON of `component`, `inputs`,
`outputs` and `parameters`.
"""

import json
import sys
from pathlib import Path

from pipeline.components import get_component
from pipeline.components.contract import Task
from tests.architecture import PACKAGES


def loaded():
    return {name for name in sys.modules if name.partition(".")[0] in PACKAGES}


def main():
    task = json.loads(sys.argv[1])
    before = loaded()
    component = get_component(task["component"])
    parameters = component.spec.resolve(task["parameters"], task["component"])
    inputs, outputs = (
        {key: Path(folder) for key, folder in task[kind].items()} for kind in ("inputs", "outputs")
    )
    component.execute(Task(inputs, outputs, parameters))
    sys.stdout.write(f"\n{json.dumps(sorted(loaded() - before))}")


if __name__ == "__main__":
    main()
