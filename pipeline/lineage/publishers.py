"""Who published a model: notes beside its versions, for pipelines with different roots.

Each root knows only what its own pipelines made. Two of them that publish equal content share one
version on the server, and each has to be told when the other removes it.

`<model>/.publishers/<version>-<hash of the root>.json` names a root that published the version;
`<version>-removed.json` says with which deletion it went, as long as another root published it.
Servers ignore the folder, whose name is no number.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.lineage.records import now
from ser_keras.files import read_json, write_json

FOLDER = ".publishers"
_REMOVED = "removed"
_REMEDY = (
    "Remove this file; `ser lineage delete-speaker` then no longer knows who else published it."
)


@dataclass(frozen=True)
class Publisher:
    """A pipeline that published a version.

    Args:
        root: str. Its root.
        pipeline: str. Its name.
    """

    root: str
    pipeline: str

    def __str__(self) -> str:
        return f"pipeline {self.pipeline} in {self.root}"


def note_publisher(version: Path, root: Path, pipeline: str) -> None:
    """Notes that a pipeline published a version.

    Args:
        version: Path. Folder of the version.
        root: Path. The pipeline's root.
        pipeline: str. Its name.
    """
    publisher = Publisher(str(root.absolute()), pipeline)
    write_json(_note_of(version, publisher.root), asdict(publisher))
    _note(version, _REMOVED).unlink(missing_ok=True)


def other_publishers(version: Path, root: Path) -> list[Publisher]:
    """Returns the pipelines with other roots that published a version.

    Raises:
        SchemaError: a note is damaged.
    """
    own = str(root.absolute())
    return [publisher for publisher in _publishers(version) if publisher.root != own]


def forget_publisher(version: Path, root: Path) -> None:
    """Notes that a root removed a version; forgets the version where no other published it."""
    others = other_publishers(version, root)
    _note_of(version, str(root.absolute())).unlink(missing_ok=True)
    if others:
        write_json(_note(version, _REMOVED), {"when": now(), "root": str(root.absolute())})
        return
    with contextlib.suppress(OSError):  # Others of the model's versions are noted there.
        (version.parent / FOLDER).rmdir()


def removal(version: Path) -> str:
    """Returns what is known of a version that is gone, as the end of a sentence."""
    path = _note(version, _REMOVED)
    if not path.is_file():
        return ""
    note = read_json(path, "when a version was removed", _REMEDY, keys=("when", "root"))
    return (
        f"; `ser lineage delete-speaker` removed it with a speaker in {note['root']} "
        f"({note['when']}), so this root may hold that speaker, too"
    )


def _publishers(version: Path) -> Iterator[Publisher]:
    for path in sorted((version.parent / FOLDER).glob(f"{version.name}-*.json")):
        if path != _note(version, _REMOVED):
            note = read_json(path, "who published a version", _REMEDY, keys=("root", "pipeline"))
            yield Publisher(note["root"], note["pipeline"])


def _note_of(version: Path, root: str) -> Path:
    return _note(version, hashlib.sha256(root.encode()).hexdigest()[:16])


def _note(version: Path, name: str) -> Path:
    return version.parent / FOLDER / f"{version.name}-{name}.json"
