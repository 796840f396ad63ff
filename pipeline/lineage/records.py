"""The record of one execution of a component: its inputs, outputs and facts, as JSON.

The terms are those of ML Metadata: an execution of a component takes artifacts and makes
artifacts, and its state says how far they can be trusted:

PENDING: it has begun.
ABANDONED: it failed or was killed.
LIVE: its artifacts are complete. This state is written last; nothing else makes an artifact valid.
REMOVED: its artifacts were deleted. Their hashes stay in the record.

A record holds its own hash, so that a flipped bit in it is detected as well.
"""

import hashlib
import json
import platform
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from pipeline.publishing.file_hashes import digest
from ser_keras.files import parse_json

PENDING, LIVE, ABANDONED, REMOVED = "PENDING", "LIVE", "ABANDONED", "REMOVED"

# Keys of the JSON record that differ from the names of the fields.
_JSON_KEYS = {"cache_key_without_history": "question"}


@dataclass(frozen=True)
class Input:
    """An artifact that an execution took.

    Args:
        key: str. The component's name for the input.
        uri: str. The folder, relative to the root; an imported path as it was given.
        sha256: str. Hash of its content.
        execution_id: str. The execution that made it, "" for an imported path.
    """

    key: str
    uri: str
    sha256: str
    execution_id: str


@dataclass(frozen=True)
class Output:
    """An artifact that an execution made.

    Args:
        key: str. The component's name for the output.
        kind: str. Kind of artifact.
        uri: str. The folder, relative to the root.
        sha256: str. Hash of its content.
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
        cache_key_without_history: str. The same hash without the inputs that come from an earlier
            run of the pipeline. Its key in the JSON record is `question`.
        started, ended: str. UTC, ISO 8601; "" while it has not ended.
        inputs: tuple of Input.
        outputs: tuple of Output, empty until they are complete.
        parameters: mapping. All of them.
        reads: mapping of path to hash, for everything that it read outside the pipeline.
        code_sha256: str. See `pipeline.orchestration.code_hash`.
        versions: mapping of package to version.
        host: str.
        facts: mapping. What the component reports of its work.
        refusal: str. Why dependent nodes must not run, "" when they may.
        error: str. Why it was abandoned.
    """

    execution_id: str
    pipeline: str
    node: str
    component: str
    state: str
    cache_key: str
    cache_key_without_history: str
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
        """Tells whether the execution has an output under a key."""
        return any(output.key == key for output in self.outputs)

    def output(self, key: str) -> Output:
        """Returns the output under a key."""
        return next(output for output in self.outputs if output.key == key)

    def to_dict(self) -> dict[str, Any]:
        """Returns the record as plain values, with the keys of the JSON file."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))
        return {_JSON_KEYS.get(name, name): value for name, value in values.items()}

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
            values = parse_json(data)
            stored = values.pop("sha256")
            if stored != digest(values):
                raise ValueError("its content is not what its hash was made of")
            field_of = {_JSON_KEYS.get(item.name, item.name): item.name for item in fields(cls)}
            if set(values) != set(field_of):
                raise ValueError(f"its keys are not {', '.join(sorted(field_of))}")
            values["inputs"] = tuple(Input(**item) for item in values["inputs"])
            values["outputs"] = tuple(Output(**item) for item in values["outputs"])
            return cls(**{field_of[key]: value for key, value in values.items()})
        except (KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
            raise ValueError(f"it is no record ({error})") from None


def new_execution_id() -> str:
    """Returns a unique id that sorts by time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{uuid.uuid4().hex[:8]}"


def now() -> str:
    """Returns the time, UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def speaker_sha256(speaker: str) -> str:
    """Returns the hash by which a deleted speaker is recognised without being named."""
    return hashlib.sha256(speaker.encode()).hexdigest()
