"""Checks a root against its lineage by reading every file again."""

from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.lineage.garbage import published_folders
from pipeline.lineage.publishers import removal
from pipeline.lineage.records import Execution
from pipeline.lineage.store import Lineage
from pipeline.publishing.file_hashes import Hashes


def verify(
    lineage: Lineage, progress: Callable[[str, int, int], None] = lambda what, done, total: None
) -> list[str]:
    """Returns a sentence for everything that is not as it was published.

    It detects a flipped bit, a missing or added file, swapped files or folders, a record that was
    edited or removed, and a published model that is gone or was changed.

    Args:
        lineage: the records of the root.
        progress: called as (node, executions done, executions).
    """
    problems = [f"{path}: {why}" for path, why in lineage.damaged.items()]
    made_hashes = {output.sha256 for record in lineage.records for output in record.outputs}
    # An operator may remove a version that a newer one has replaced.
    newest = lineage.newest
    for number, record in enumerate(lineage.live):
        progress(record.node, number, len(lineage.live))
        problems += [*_file_problems(lineage, record), *_input_problems(record, made_hashes)]
        if record.execution_id in newest:
            problems += _published_problems(record)
    known = {record.execution_id for record in lineage.records}
    known |= {path.stem for path in lineage.damaged}
    problems += [
        f"{path}: no record says what this is"
        for path in published_folders(lineage.root)
        if path.name not in known
    ]
    return problems


def _file_problems(lineage: Lineage, record: Execution) -> Iterator[str]:
    hashes = Hashes()
    for output in record.outputs:
        folder = lineage.path(output)
        sha256_of = hashes.tree(folder)
        for name in sorted(sha256_of.keys() | output.files.keys()):
            if name not in sha256_of:
                yield f"{folder / name}: is gone"
            elif name not in output.files:
                yield f"{folder / name}: was added after {record.node} made the folder"
            elif sha256_of[name] != output.files[name]:
                yield (
                    f"{folder / name}: found content {sha256_of[name][:12]}, expected "
                    f"{output.files[name][:12]} as {record.node} made it"
                )


def _published_problems(record: Execution) -> Iterator[str]:
    """Yields what is wrong with a folder outside the root that an execution published."""
    if not (path := record.facts.get("path")):
        return
    expected, folder = record.facts.get("sha256"), Path(path)
    if not folder.is_dir():
        yield f"{folder}: is gone, {record.node} published it{removal(folder)}"
    elif expected and (content := Hashes().of(folder)) != expected:
        yield (
            f"{folder}: found content {content[:12]}, expected {expected[:12]} as {record.node} "
            "published it"
        )


def _input_problems(record: Execution, made_hashes: set[str]) -> Iterator[str]:
    for artifact in record.inputs:
        if artifact.execution_id and artifact.sha256 not in made_hashes:
            yield (
                f"{record.execution_id}, {record.node}: no record says who made its input "
                f"{artifact.key} ({artifact.uri})"
            )
