"""The lineage of a root: one JSON record per execution, beside the artifacts.

`<root>/.lineage/<execution_id>.json` holds a record, see `pipeline.lineage.records`. Beside the
records, `latest/<pipeline>.json` names the execution behind each node, and `deletions/` lists what
was removed with a speaker.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from pipeline.lineage.records import LIVE, Execution, Input, Output
from ser_keras.errors import ConfigError, SchemaError, unknown_name
from ser_keras.files import path_below, read_json, replacing

FOLDER = ".lineage"
LATEST = "latest"


class Lineage:
    """The records of a root.

    Args:
        root: Path. Folder of the artifacts and their records.
    """

    def __init__(self, root: Path):
        self.root = root
        self.folder = root / FOLDER
        self._record_of: dict[str, Execution] = {}
        self.damaged: dict[Path, str] = {}
        for path in sorted(self.folder.glob("*.json")):
            try:
                record = Execution.from_bytes(path.read_bytes())
                if record.execution_id != path.stem:
                    raise ValueError(f"it is the record of {record.execution_id}")
                self._record_of[record.execution_id] = record
            except (OSError, ValueError) as error:
                self.damaged[path] = str(error)

    @classmethod
    def open(cls, root: Path) -> "Lineage":
        """Returns the records of a root in which a pipeline was run.

        Raises:
            ConfigError: no pipeline was run there.
        """
        if not (root / FOLDER).is_dir():
            raise ConfigError(
                f"{root}: found no {FOLDER} there, expected the root of a pipeline that was run. "
                "Correct the path; the pipeline's file has it under root."
            )
        return cls(root)

    @property
    def records(self) -> list[Execution]:
        """All readable records, oldest first."""
        return [self._record_of[name] for name in sorted(self._record_of)]

    @property
    def live(self) -> list[Execution]:
        """The records whose artifacts are complete, oldest first."""
        return [record for record in self.records if record.state == LIVE]

    def get(self, execution_id: str) -> Execution:
        """Returns a record by its id or by the beginning of its id.

        Raises:
            ConfigError: no record or several records match.
        """
        matching = [name for name in self._record_of if name.startswith(execution_id)]
        if len(matching) != 1:
            names = matching or list(self._record_of)
            raise ConfigError(f"{self.root}: {unknown_name('execution', execution_id, names)}")
        return self._record_of[matching[0]]

    def write(self, record: Execution) -> None:
        """Writes a record, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.folder / f"{record.execution_id}.json") as stream:
            stream.write(record.to_bytes())
        self._record_of[record.execution_id] = record

    def forget(self, record: Execution) -> None:
        """Removes a record."""
        (self.folder / f"{record.execution_id}.json").unlink(missing_ok=True)
        self._record_of.pop(record.execution_id, None)

    def latest(self, pipeline: str) -> dict[str, str]:
        """Returns the execution behind each node of a pipeline, as its newest run left it."""
        path = self.folder / LATEST / f"{pipeline}.json"
        if not path.is_file():
            return {}
        remedy = "Remove this file; the next run of the pipeline writes it again."
        executions: dict[str, str] = read_json(path, "the newest executions", remedy)
        return executions

    def set_latest(self, pipeline: str, executions: Mapping[str, str]) -> None:
        """Stores the execution behind each node; writes nothing if none has changed."""
        if executions != self.latest(pipeline):
            (self.folder / LATEST).mkdir(parents=True, exist_ok=True)
            with replacing(self.folder / LATEST / f"{pipeline}.json") as stream:
                stream.write(json.dumps(executions, indent=1).encode())

    @property
    def newest(self) -> set[str]:
        """The ids of the executions behind each node of every pipeline, after its newest run."""
        pipelines = [path.stem for path in (self.folder / LATEST).glob("*.json")]
        return {name for pipeline in pipelines for name in self.latest(pipeline).values()}

    @property
    def superseded(self) -> list[Execution]:
        """Live executions that no pipeline's newest run used or took an input from.

        Executions that published something outside the root are never among them, because what
        they published may have to be traced.
        """
        used = self.newest
        makers = {
            artifact.execution_id
            for record in self.live
            if record.execution_id in used
            for artifact in record.inputs
        }
        return [
            record
            for record in self.live
            if record.execution_id not in used | makers and "path" not in record.facts
        ]

    def path(self, artifact: Input | Output) -> Path:
        """Returns the folder of an artifact; an imported one may lie anywhere.

        Raises:
            SchemaError: the record of what a pipeline made names a folder outside of the root.
        """
        if isinstance(artifact, Input) and not artifact.execution_id:
            return self.root / artifact.uri
        return path_below(self.root, artifact.uri, f"{self.folder}, folder of an artifact")

    def descendants(self, names: set[str]) -> set[str]:
        """Returns these executions and all that took, at any distance, what they made.

        Artifacts with equal content count as the same artifact.
        """
        reached = set(names)
        while True:
            made_hashes = {
                output.sha256
                for record in self.records
                if record.execution_id in reached
                for output in record.outputs
            }
            takers = {
                record.execution_id
                for record in self.records
                if made_hashes.intersection(artifact.sha256 for artifact in record.inputs)
            }
            if takers <= reached:
                return reached
            reached |= takers

    def require_readable(self) -> None:
        """Raises SchemaError if a record is damaged, since its artifacts are then unknown."""
        for path, why in self.damaged.items():
            raise SchemaError(
                f"{path}: {why}. The file was damaged or edited; look with `ser lineage verify`. "
                "Restore it, or remove it together with what its node made."
            )
