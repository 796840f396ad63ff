"""Verdicts as files: BLESSED, or NOT_BLESSED with the reasons in it."""

from collections.abc import Sequence
from pathlib import Path

from ser_keras.errors import SchemaError
from ser_keras.files import replacing

BLESSED = "BLESSED"
NOT_BLESSED = "NOT_BLESSED"


def bless(folder: Path, reasons: Sequence[str]) -> None:
    """Writes the verdict into a folder: blessed if there is no reason against it.

    Args:
        folder: folder of the judged artifact; created if it does not exist.
        reasons: why it is not blessed; empty if it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # The old verdict is removed first, so that a kill in between leaves none, never two.
    for name in (BLESSED, NOT_BLESSED):
        (folder / name).unlink(missing_ok=True)
    with replacing(folder / (NOT_BLESSED if reasons else BLESSED)) as stream:
        stream.write("".join(f"{reason}\n" for reason in reasons).encode())


def reasons_against(folder: Path) -> list[str]:
    """Returns why the content of a folder is not blessed, an empty list if it is.

    Raises:
        SchemaError: there is no verdict, or there are two.
    """
    verdicts = [name for name in (BLESSED, NOT_BLESSED) if (folder / name).is_file()]
    if len(verdicts) != 1:
        raise SchemaError(
            f"{folder}: found {' and '.join(verdicts) or 'no verdict'}, expected either "
            f"{BLESSED} or {NOT_BLESSED}. Run the step that judges it again."
        )
    if verdicts == [BLESSED]:
        return []
    lines = (folder / NOT_BLESSED).read_text(encoding="utf-8").splitlines()
    return lines or ["no reason is written down"]
