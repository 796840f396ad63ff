"""What a folder was asked for, and keras-tuner's files in it.

The latter can be made again from the records of the trials. The records are the result of days;
keras-tuner's files only say what was drawn when. A search whose oracle begins anew draws its trials
in the same order, and takes each one that has a record as it is.
"""

import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ser_keras.errors import SchemaError
from ser_keras.files import parse_json, read_json, write_json
from ser_keras.settings import differences

# Of keras-tuner, below a search's folder.
ORACLE = "oracle"
_STATE = "oracle.json"
# Of a search in one process, and of the chief of several.
_TUNERS = ("tuner0.json", "chief.json")


def claim(output: Path, what: str, facts: Mapping[str, Any]) -> None:
    """Records what a folder is used for, and refuses one that is used for something else.

    Raises:
        SchemaError: `output` was claimed with other facts.
    """
    path = output / "asked.json"
    if path.exists():
        before = read_json(
            path,
            f"what {what} was asked for",
            "Remove this file if the command is the one that the folder was made with; otherwise "
            "choose another --output.",
        )
        before = before if isinstance(before, dict) else {}
        if changed := differences(before, facts):
            raise SchemaError(
                f"{output}: holds {what} with other settings ({'; '.join(changed)}). Choose "
                "another --output, or remove it."
            )
    write_json(path, facts)


def remove_damaged(output: Path) -> Path | None:
    """Removes keras-tuner's files where they are damaged, or know more trials than are recorded.

    Args:
        output: Path. Folder of the search.

    Returns:
        the first file that is empty, cut off or missing; None if there is none.
    """
    folder = output / ORACLE
    damaged = next((path for path in _expected_files(folder) if not _is_whole(path)), None)
    if damaged is None:
        damaged = next(_missing_records(output), None)
    if damaged is not None:
        # By one rename first: half of the files would be taken for a search that was begun.
        removed = output / f".{ORACLE}-{uuid.uuid4().hex}"
        folder.rename(removed)
        shutil.rmtree(removed)
    return damaged


def _expected_files(folder: Path) -> list[Path]:
    files = {*folder.glob("*.json"), *folder.glob("trial_*/trial.json")}
    # Where there is a tuner, keras-tuner reads the oracle's state.
    needed = {folder / _STATE} if any((folder / name).exists() for name in _TUNERS) else set()
    return sorted(files | needed)


def _is_whole(path: Path) -> bool:
    try:
        return isinstance(parse_json(path.read_bytes()), dict)
    except (OSError, ValueError):
        return False


def _missing_records(output: Path) -> Iterator[Path]:
    """Yields the records of trials that have ended for keras-tuner, where they are not there.

    It would not run these trials again.
    """
    for path in sorted((output / ORACLE).glob("trial_*/trial.json")):
        trial = parse_json(path.read_bytes())
        record = output / "trials" / path.parent.name.removeprefix("trial_") / "record.json"
        if trial.get("status") == "COMPLETED" and not record.exists():
            yield record
