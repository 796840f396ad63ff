"""What was made from what, with what, by what: a JSON file per execution, beside the artifacts.

`<root>/.lineage/<execution_id>.json`. The words are those of ML Metadata: an execution of a
component takes artifacts and makes artifacts, and its state says what may be believed of them:

PENDING: it has begun. ABANDONED: it failed, or was killed. LIVE: its artifacts are whole; written
last, and nothing else makes an artifact one. REMOVED: they were deleted; what they were stays known
by their hashes.

A record carries its own hash, so that a flipped bit in it is found, too. Beside the records,
`latest/<pipeline>.json` has the execution behind each node, and `deletions/` what was removed with
a speaker.
"""

import hashlib
import json
import platform
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.publishing.file_hashes import digest
from ser_keras.errors import ConfigError, SchemaError, unknown_name
from ser_keras.files import replacing

FOLDER = ".lineage"
LATEST = "latest"
PENDING, LIVE, ABANDONED, REMOVED = "PENDING", "LIVE", "ABANDONED", "REMOVED"


@dataclass(frozen=True)
class Input:
    """An artifact that an execution took.

    Args:
        key: str. Of the component's input.
        uri: str. The folder, relative to the root; a path from outside as it was given.
        sha256: str. Of its content.
        execution_id: str. Who made it, "" for a path from outside.
    """

    key: str
    uri: str
    sha256: str
    execution_id: str


@dataclass(frozen=True)
class Output:
    """An artifact that an execution made.

    Args:
        key: str. Of the component's output.
        kind: str. Of artifact.
        uri: str. The folder, relative to the root.
        sha256: str. Of its content.
        files: mapping of relative path to sha256.
    """

    key: str
    kind: str
    uri: str
    sha256: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class Execution:
    """One record.

    Args:
        execution_id: str. Sorts by time.
        pipeline, node, component: str. Names.
        state: str. PENDING, LIVE, ABANDONED or REMOVED.
        cache_key: str. Hash of everything that the result depends on.
        question: str. The same without what the last run of the pipeline gave.
        started, ended: str. UTC, ISO 8601; "" where it has not ended.
        inputs: tuple of Input.
        outputs: tuple of Output, empty before they are whole.
        parameters: mapping. All of them.
        reads: mapping of path to hash, of what it read outside the pipeline.
        code_sha256: str. See `pipeline.orchestration.code_hash`.
        versions: mapping of package to version.
        host: str.
        facts: mapping. What the component says of its work.
        refusal: str. Why dependants must not run, "" where all is well.
        error: str. Why it was abandoned.
    """

    execution_id: str
    pipeline: str
    node: str
    component: str
    state: str
    cache_key: str
    question: str
    started: str
    ended: str = ""
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    reads: Mapping[str, str] = field(default_factory=dict)
    code_sha256: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    host: str = field(default_factory=platform.node)
    facts: Mapping[str, Any] = field(default_factory=dict)
    refusal: str = ""
    error: str = ""

    def makes(self, key: str) -> bool:
        """Tells whether there is an artifact under a key."""
        return any(output.key == key for output in self.outputs)

    def output(self, key: str) -> Output:
        """Returns the artifact under a key of the component's outputs."""
        return next(output for output in self.outputs if output.key == key)

    def to_dict(self) -> dict[str, Any]:
        """Returns the record as plain values."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))
        return values

    def to_bytes(self) -> bytes:
        """Returns the record as JSON with its own hash; `from_bytes` is the inverse."""
        values = self.to_dict()
        return (json.dumps({**values, "sha256": digest(values)}, indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Execution":
        """Returns the record that `to_bytes` wrote.

        Raises:
            ValueError: it is damaged or of another version.
        """
        try:
            values = json.loads(data)
            stored = values.pop("sha256")
            if stored != digest(values):
                raise ValueError("its content is not what its hash was made of")
            known = {each.name for each in fields(cls)}
            if set(values) != known:
                raise ValueError(f"its keys are not {', '.join(sorted(known))}")
            values["inputs"] = tuple(Input(**each) for each in values["inputs"])
            values["outputs"] = tuple(Output(**each) for each in values["outputs"])
            return cls(**values)
        except (KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
            raise ValueError(f"it is no record ({error})") from None


class Lineage:
    """The records of a root.

    Args:
        root: Path. Where artifacts and records lie.
    """

    def __init__(self, root: Path):
        self.root = root
        self.folder = root / FOLDER
        self._written: dict[str, Execution] = {}
        self.damaged: dict[Path, str] = {}
        for path in sorted(self.folder.glob("*.json")):
            try:
                record = Execution.from_bytes(path.read_bytes())
                if record.execution_id != path.stem:
                    raise ValueError(f"it is the record of {record.execution_id}")
                self._written[record.execution_id] = record
            except (OSError, ValueError) as error:
                self.damaged[path] = str(error)

    @classmethod
    def open(cls, root: Path) -> "Lineage":
        """Returns the records of a root that a pipeline has been run in.

        Raises:
            ConfigError: it is none.
        """
        if not (root / FOLDER).is_dir():
            raise ConfigError(
                f"{root}: found no {FOLDER} there, expected the root of a pipeline that was run. "
                "Correct the path; the pipeline's file has it under root."
            )
        return cls(root)

    @property
    def records(self) -> list[Execution]:
        """All records that can be read, oldest first."""
        return [self._written[name] for name in sorted(self._written)]

    @property
    def live(self) -> list[Execution]:
        """Those whose artifacts are whole, oldest first."""
        return [record for record in self.records if record.state == LIVE]

    def get(self, execution_id: str) -> Execution:
        """Returns a record by its id or by the beginning of it.

        Raises:
            ConfigError: none, or several.
        """
        found = [name for name in self._written if name.startswith(execution_id)]
        if len(found) != 1:
            names = found or list(self._written)
            raise ConfigError(f"{self.root}: {unknown_name('execution', execution_id, names)}")
        return self._written[found[0]]

    def write(self, record: Execution) -> None:
        """Writes a record, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.folder / f"{record.execution_id}.json") as stream:
            stream.write(record.to_bytes())
        self._written[record.execution_id] = record

    def forget(self, record: Execution) -> None:
        """Removes a record."""
        (self.folder / f"{record.execution_id}.json").unlink(missing_ok=True)
        self._written.pop(record.execution_id, None)

    def latest(self, pipeline: str) -> dict[str, str]:
        """Returns the execution behind each node of a pipeline, as its newest run left it."""
        path = self.folder / LATEST / f"{pipeline}.json"
        found: dict[str, str] = json.loads(path.read_bytes()) if path.is_file() else {}
        return found

    def set_latest(self, pipeline: str, executions: Mapping[str, str]) -> None:
        """Writes down the execution behind each node, where it is another than before."""
        if executions != self.latest(pipeline):
            (self.folder / LATEST).mkdir(parents=True, exist_ok=True)
            with replacing(self.folder / LATEST / f"{pipeline}.json") as stream:
                stream.write(json.dumps(executions, indent=1).encode())

    @property
    def superseded(self) -> list[Execution]:
        """Live executions that no pipeline's newest run used, nor took anything from.

        What was published outside stays known: it may have to be found again.
        """
        names = [path.stem for path in (self.folder / LATEST).glob("*.json")]
        used = {name for pipeline in names for name in self.latest(pipeline).values()}
        taken = {
            given.execution_id
            for record in self.live
            if record.execution_id in used
            for given in record.inputs
        }
        return [
            record
            for record in self.live
            if record.execution_id not in used | taken and "path" not in record.facts
        ]

    def path(self, artifact: Input | Output) -> Path:
        """Returns where an artifact lies."""
        return self.root / artifact.uri

    def descendants(self, names: set[str]) -> set[str]:
        """Returns these executions and all that took, at any distance, what they made.

        What was made again and came out equal counts as the same.
        """
        found = set(names)
        while True:
            made = {
                output.sha256
                for record in self.records
                if record.execution_id in found
                for output in record.outputs
            }
            more = {
                record.execution_id
                for record in self.records
                if made.intersection(given.sha256 for given in record.inputs)
            }
            if more <= found:
                return found
            found |= more

    def require_readable(self) -> None:
        """Raises SchemaError where a record is damaged: nobody knows what it was of."""
        for path, why in self.damaged.items():
            raise SchemaError(
                f"{path}: {why}. The file was damaged or edited; look with `ser lineage verify`. "
                "Restore it, or remove it together with what its node made."
            )


def new_execution_id() -> str:
    """Returns an id that sorts by time and is nobody else's."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{uuid.uuid4().hex[:8]}"


def now() -> str:
    """Returns the time, UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def speaker_sha256(speaker: str) -> str:
    """Returns how a speaker is remembered who must not be named any more."""
    return hashlib.sha256(speaker.encode()).hexdigest()
