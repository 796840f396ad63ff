"""Removes things from a root: leftovers, superseded artifacts, everything a speaker is part of."""

import re
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from pipeline.lineage.publishers import Publisher, forget_publisher, other_publishers
from pipeline.lineage.records import (
    LIVE,
    REMOVED,
    Execution,
    new_execution_id,
    now,
    speaker_sha256,
)
from pipeline.lineage.store import Lineage
from pipeline.publishing.file_hashes import MEMORY
from pipeline.statistics.file import as_json
from ser_keras.errors import ConfigError, CorpusError, unknown_name
from ser_keras.files import read_json, replacing

ATTEMPTS = ".attempts"
DELETIONS = "deletions"

_HIDDEN = ".removed-"
_EXECUTION_ID = re.compile(r"\d{8}T\d{6}\.\d{6}-[0-9a-f]{8}")


@dataclass(frozen=True)
class Deletion:
    """What is removed with a speaker. Made by `plan_deletion`.

    Args:
        speakers: tuple of str, `<corpus>/<speaker>`.
        executions: tuple of Execution; each comes before those that it took its inputs from. Some
            have no artifacts left, only their record.
        outside: tuple of Path. Folders outside the root, such as published models.
        publishers: mapping of such a folder to the pipelines with other roots that published it as
            well.
    """

    speakers: tuple[str, ...]
    executions: tuple[Execution, ...]
    outside: tuple[Path, ...]
    publishers: Mapping[Path, Sequence[Publisher]]


def published_folders(root: Path) -> list[Path]:
    """Returns all artifact folders, `<root>/<node>/<output>/<execution_id>`, complete or not."""
    return sorted(
        path
        for path in root.glob("[!.]*/*/*")
        if path.is_dir() and _EXECUTION_ID.fullmatch(path.name)
    )


def leftovers(lineage: Lineage) -> list[Path]:
    """Returns what killed and failed runs left: attempts, folders and records that are not live.

    A folder without any record is not among them, because nobody knows what it holds. The caller
    must hold the root's lock.
    """
    root = lineage.root
    states = {record.execution_id: record.state for record in lineage.records}
    not_live = {name for name, state in states.items() if state != LIVE}
    unused_records = sorted(name for name, state in states.items() if state not in (LIVE, REMOVED))
    return [
        *sorted((root / ATTEMPTS).glob("*")),
        *(path for path in published_folders(root) if path.name in not_live),
        *sorted(root.glob("*.tmp")),
        *sorted(lineage.folder.glob("**/*.tmp")),
        *(lineage.folder / f"{name}.json" for name in unused_records),
    ]


def remove_leftovers(lineage: Lineage) -> list[Path]:
    """Removes what `leftovers` returns, and returns it.

    Raises:
        SchemaError: a record is damaged, so that its artifacts could look like leftovers.
    """
    lineage.require_readable()
    removed = leftovers(lineage)
    for path in removed:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return removed


def remove_superseded(lineage: Lineage) -> list[Execution]:
    """Removes the artifacts of `Lineage.superseded`; keeps their records and returns them."""
    lineage.require_readable()
    superseded = lineage.superseded
    for record in superseded:
        _remove_artifacts(lineage, record)
        lineage.write(replace(record, state=REMOVED))
    return superseded


def _remove_artifacts(lineage: Lineage, record: Execution) -> None:
    for output in record.outputs:
        if lineage.path(output).exists():
            shutil.rmtree(lineage.path(output))


def plan_deletion(lineage: Lineage, speaker: str) -> Deletion:
    """Returns everything that holds a speaker's speech or was made from it, at any distance.

    Args:
        lineage: the records of the root.
        speaker: `<corpus>/<speaker>`, or the speaker alone for every corpus.

    Raises:
        ConfigError: no artifact was made from such a speaker's speech.
        SchemaError: a record or a note on who published a model is damaged.
    """
    lineage.require_readable()
    known = {name for record in lineage.records for name in record.facts.get("speakers", ())}
    speakers = {name for name in known if speaker in (name, name.partition("/")[2])}
    if not speakers:
        raise ConfigError(
            f"{lineage.root}: {unknown_name('speaker', speaker, known)} Nothing was removed; a "
            "speaker who was deleted before is in no artifact."
        )
    with_speaker = {
        record.execution_id
        for record in lineage.records
        if speakers.intersection(record.facts.get("speakers", ()))
    }
    executions = _dependants_first(lineage, lineage.descendants(with_speaker))
    paths = [Path(record.facts["path"]) for record in executions if record.facts.get("path")]
    outside = tuple(dict.fromkeys(paths))
    publishers = {path: other_publishers(path, lineage.root) for path in outside}
    return Deletion(tuple(sorted(speakers)), executions, outside, publishers)


def _dependants_first(lineage: Lineage, names: set[str]) -> tuple[Execution, ...]:
    """Returns the executions of these ids, each before those that it took its inputs from."""
    record_of = {
        record.execution_id: record for record in lineage.records if record.execution_id in names
    }
    makers = {
        name: [artifact.execution_id for artifact in record.inputs]
        for name, record in record_of.items()
    }
    order = [name for name in TopologicalSorter(makers).static_order() if name in record_of]
    return tuple(record_of[name] for name in reversed(order))


def delete_speaker(lineage: Lineage, deletion: Deletion) -> Path:
    """Removes what was planned and all leftovers; returns the file that lists it by hash.

    Dependent artifacts are removed first, so that after a kill the same command finds the rest.
    """
    note = lineage.folder / DELETIONS / f"{new_execution_id()}.json"
    note.parent.mkdir(exist_ok=True)
    with replacing(note) as stream:
        stream.write(as_json(_deletion_note(deletion)))
    for path in deletion.outside:
        if path.is_dir():
            # A server ignores a hidden name, so it never loads a half-removed version.
            path.rename(path.with_name(f"{_HIDDEN}{uuid.uuid4().hex[:12]}"))
        # A deletion that was killed at this point left some as well.
        for hidden in path.parent.glob(f"{_HIDDEN}*"):
            shutil.rmtree(hidden)
        forget_publisher(path, lineage.root)
    for record in deletion.executions:
        _remove_artifacts(lineage, record)
        outputs = tuple(replace(output, files={}) for output in record.outputs)
        lineage.write(replace(record, state=REMOVED, outputs=outputs, facts={}, reads={}))
    # File names may contain the names of people.
    (lineage.root / MEMORY).unlink(missing_ok=True)
    remove_leftovers(lineage)
    return note


def refuse_removed_speakers(lineage: Lineage, facts: Mapping[str, Any]) -> None:
    """Raises CorpusError if the facts name a speaker who was deleted in this root before."""
    speaker_of = {speaker_sha256(speaker): speaker for speaker in facts.get("speakers", ())}
    for note in sorted((lineage.folder / DELETIONS).glob("*.json")) if speaker_of else ():
        remedy = "Restore it from a copy: without it the speaker could come back."
        keys = ("speakers_sha256", "when")
        deletion = read_json(note, "the hashes of deleted speakers", remedy, keys)
        for sha256 in deletion["speakers_sha256"]:
            if sha256 in speaker_of:
                raise CorpusError(
                    f"{lineage.root}: found the speaker {speaker_of[sha256]}, who was deleted "
                    f"({deletion['when']}). Remove the recordings from the corpus; if this is "
                    f"another person of that name, remove {note}."
                )


def _deletion_note(deletion: Deletion) -> dict[str, Any]:
    """Returns what was removed as hashes; the only names are those of nodes."""
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
