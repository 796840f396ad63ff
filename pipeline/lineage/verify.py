"""Whether a root still holds what its lineage says: every file is read again."""

from collections.abc import Callable, Iterator

from pipeline.lineage.garbage import published_folders
from pipeline.lineage.store import Execution, Lineage
from pipeline.publishing.file_hashes import Hashes


def verify(
    lineage: Lineage, progress: Callable[[str, int, int], None] = lambda what, done, total: None
) -> list[str]:
    """Returns a sentence for everything that is not as it was published.

    A flipped bit, a file too few or too many, two files or two folders that changed places, a
    record that was edited or removed.

    Args:
        lineage: of the root.
        progress: called as (node, executions done, executions).
    """
    problems = [f"{path}: {why}" for path, why in lineage.damaged.items()]
    made = {output.sha256 for record in lineage.records for output in record.outputs}
    for number, record in enumerate(lineage.live):
        progress(record.node, number, len(lineage.live))
        problems += [*_files(lineage, record), *_inputs(record, made)]
    known = {record.execution_id for record in lineage.records}
    known |= {path.stem for path in lineage.damaged}
    problems += [
        f"{path}: no record says what this is"
        for path in published_folders(lineage.root)
        if path.name not in known
    ]
    return problems


def _files(lineage: Lineage, record: Execution) -> Iterator[str]:
    hashes = Hashes()
    for output in record.outputs:
        folder = lineage.path(output)
        found = hashes.tree(folder)
        for name in sorted(found.keys() | output.files.keys()):
            if name not in found:
                yield f"{folder / name}: is gone"
            elif name not in output.files:
                yield f"{folder / name}: was added after {record.node} made the folder"
            elif found[name] != output.files[name]:
                yield (
                    f"{folder / name}: found content {found[name][:12]}, expected "
                    f"{output.files[name][:12]} as {record.node} made it"
                )


def _inputs(record: Execution, made: set[str]) -> Iterator[str]:
    for given in record.inputs:
        if given.execution_id and given.sha256 not in made:
            yield (
                f"{record.execution_id}, {record.node}: no record says who made its input "
                f"{given.key} ({given.uri})"
            )
