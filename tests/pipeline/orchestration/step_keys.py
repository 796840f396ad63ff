"""Which steps have another code after an edit of the sources: run in a copy of the packages.

`python step_keys.py COPY STEPS EDITS`: STEPS is JSON of step to [component, parameters, inputs],
EDITS is JSON of edit to [file, old text, new text]. Prints JSON of edit to the steps that changed.
"""

import json
import sys
from pathlib import Path

from pipeline.components import COMPONENTS, get_component
from pipeline.orchestration import code_hash


def keys(steps):
    """Returns the hash of the code of every step."""
    for cached in vars(code_hash).values():
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()
    hashes = {}
    for step, (name, parameters, inputs) in steps.items():
        component = get_component(name)
        folders = {key: Path(folder) for key, folder in inputs.items()}
        lookups = component.lookups(component.spec.resolve(parameters, step), folders)
        hashes[step] = code_hash.code_sha256(COMPONENTS[name], lookups)
    return hashes


def main():
    copy, steps, edits = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
    assert Path(code_hash.__file__).is_relative_to(copy)
    before = keys(steps)
    changed = {}
    for edit, (file, old, new) in edits.items():
        source = (copy / file).read_text()
        assert old in source, (file, old)
        (copy / file).write_text(source.replace(old, new, 1))
        after = keys(steps)
        changed[edit] = [step for step in steps if before[step] != after[step]]
        (copy / file).write_text(source)
    sys.stdout.write(json.dumps(changed))


if __name__ == "__main__":
    main()
