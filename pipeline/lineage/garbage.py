"""Taking things out of a root: rubbish, what is superseded, all that a speaker had a part in."""

import json
import re
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from pipeline.lineage.store import (
    LIVE,
    REMOVED,
    Execution,
    Lineage,
    new_execution_id,
    now,
    speaker_sha256,
)
from pipeline.publishing.file_hashes import MEMORY
from pipeline.statistics.file import as_json
from ser_keras.errors import ConfigError, CorpusError, unknown_name
from ser_keras.files import replacing

ATTEMPTS = ".attempts"
DELETIONS = "deletions"

_HIDDEN = ".removed-"
_EXECUTION_ID = re.compile(r"\d{8}T\d{6}\.\d{6}-[0-9a-f]{8}")


@dataclass(frozen=True)
class Deletion:
    """What goes with a speaker. Made by `plan_deletion`.

    Args:
        speakers: tuple of str, `<corpus>/<speaker>`.
        executions: tuple of Execution; each stands before those that it was made from. Of some
            only the record is left.
        outside: tuple of Path. Folders outside the root, such as published models.
    """

    speakers: tuple[str, ...]
    executions: tuple[Execution, ...]
    outside: tuple[Path, ...]


def published_folders(root: Path) -> list[Path]:
    """Returns the folders of artifacts, `<root>/<node>/<output>/<execution_id>`, whole or not."""
    return sorted(
        path
        for path in root.glob("[!.]*/*/*")
        if path.is_dir() and _EXECUTION_ID.fullmatch(path.name)
    )


def rubbish(lineage: Lineage) -> list[Path]:
    """Returns what killed and failed runs left: attempts, folders and records that are not live.

    A folder without any record is not among them: nobody knows what it is. To be called by one who
    has the root alone.
    """
    root = lineage.root
    dead = {each.execution_id for each in lineage.records if each.state != LIVE}
    forgotten = {each.execution_id for each in lineage.records if each.state not in (LIVE, REMOVED)}
    return [
        *sorted((root / ATTEMPTS).glob("*")),
        *(path for path in published_folders(root) if path.name in dead),
        *sorted(root.glob("*.tmp")),
        *sorted(lineage.folder.glob("**/*.tmp")),
        *(lineage.folder / f"{name}.json" for name in sorted(forgotten)),
    ]


def remove_rubbish(lineage: Lineage) -> list[Path]:
    """Removes what `rubbish` finds and returns it.

    Raises:
        SchemaError: a record is damaged: what it was of could look like rubbish.
    """
    lineage.require_readable()
    found = rubbish(lineage)
    for path in found:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return found


def remove_superseded(lineage: Lineage) -> list[Execution]:
    """Removes the artifacts of `Lineage.superseded`, not their records; returns the records."""
    lineage.require_readable()
    found = lineage.superseded
    for record in found:
        _remove_artifacts(lineage, record)
        lineage.write(replace(record, state=REMOVED))
    return found


def _remove_artifacts(lineage: Lineage, record: Execution) -> None:
    for output in record.outputs:
        if lineage.path(output).exists():
            shutil.rmtree(lineage.path(output))


def plan_deletion(lineage: Lineage, speaker: str) -> Deletion:
    """Returns everything that holds a speaker's speech or was shaped by it, at any distance.

    Args:
        lineage: of the root.
        speaker: `<corpus>/<speaker>`, or the speaker alone, of every corpus.

    Raises:
        ConfigError: no artifact saw such a speaker.
        SchemaError: a record is damaged.
    """
    lineage.require_readable()
    known = {each for record in lineage.records for each in record.facts.get("speakers", ())}
    asked = {each for each in known if speaker in (each, each.partition("/")[2])}
    if not asked:
        raise ConfigError(
            f"{lineage.root}: {unknown_name('speaker', speaker, known)} Nothing was removed; who "
            "was deleted before is in no artifact."
        )
    saw = {
        record.execution_id
        for record in lineage.records
        if asked.intersection(record.facts.get("speakers", ()))
    }
    found = lineage.descendants(saw)
    gone = [record for record in lineage.records if record.execution_id in found]
    makers = {record.execution_id: [each.execution_id for each in record.inputs] for record in gone}
    order = [name for name in TopologicalSorter(makers).static_order() if name in makers]
    of = {record.execution_id: record for record in gone}
    executions = tuple(of[name] for name in reversed(order))
    outside = [Path(record.facts["path"]) for record in executions if record.facts.get("path")]
    return Deletion(tuple(sorted(asked)), executions, tuple(dict.fromkeys(outside)))


def delete_speaker(lineage: Lineage, deletion: Deletion) -> Path:
    """Removes what was planned, and all rubbish; returns the file that says what it was.

    What was made from something goes before it: killed in between, the same command finds the rest.
    """
    note = lineage.folder / DELETIONS / f"{new_execution_id()}.json"
    note.parent.mkdir(exist_ok=True)
    with replacing(note) as stream:
        stream.write(as_json(_note(deletion)))
    for path in deletion.outside:
        if path.is_dir():
            # No server takes a hidden name for a version, nor sees half of one.
            path.rename(path.with_name(f"{_HIDDEN}{uuid.uuid4().hex[:12]}"))
        # Also those of a deletion that was killed here.
        for hidden in path.parent.glob(f"{_HIDDEN}*"):
            shutil.rmtree(hidden)
    for record in deletion.executions:
        _remove_artifacts(lineage, record)
        outputs = tuple(replace(output, files={}) for output in record.outputs)
        lineage.write(replace(record, state=REMOVED, outputs=outputs, facts={}, reads={}))
    # Names of files can be names of people.
    (lineage.root / MEMORY).unlink(missing_ok=True)
    remove_rubbish(lineage)
    return note


def refuse_removed_speakers(lineage: Lineage, facts: Mapping[str, Any]) -> None:
    """Raises CorpusError where work saw a speaker who was deleted in this root before."""
    speaker_of = {speaker_sha256(each): each for each in facts.get("speakers", ())}
    for note in sorted((lineage.folder / DELETIONS).glob("*.json")) if speaker_of else ():
        said = json.loads(note.read_text(encoding="utf-8"))
        for sha256 in said["speakers_sha256"]:
            if sha256 in speaker_of:
                raise CorpusError(
                    f"{lineage.root}: found the speaker {speaker_of[sha256]}, who was deleted "
                    f"({said['when']}). Remove the recordings from the corpus; where this is "
                    f"somebody else of that name, remove {note}."
                )


def _note(deletion: Deletion) -> dict[str, Any]:
    """Returns what was removed: hashes, and no names but those of nodes."""
    return {
        "when": now(),
        "speakers_sha256": [speaker_sha256(speaker) for speaker in deletion.speakers],
        "executions": [
            {
                "execution_id": record.execution_id,
                "node": record.node,
                "component": record.component,
                "outputs": [
                    {
                        "kind": output.kind,
                        "uri": output.uri,
                        "sha256": output.sha256,
                        "files_sha256": sorted(output.files.values()),
                    }
                    for output in record.outputs
                ],
            }
            for record in deletion.executions
        ],
        "outside": [str(path) for path in deletion.outside],
    }
