"""What a server needs to know of a speaker: statistics of the speaker's own recordings.

They come from the signatures `enrol` and `enrol_embedding` of an export, merge by weighted means,
and go with every request to `adapted`. They describe a voice: keep them as carefully as its
recordings.
"""

import functools
import os
import uuid
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

# (inputs, name of a signature) -> (its outputs, the version that answered).
Ask = Callable[[Mapping[str, np.ndarray], str], tuple[Mapping[str, np.ndarray], int]]
FORMAT = "ser statistics of a speaker, 1"
ID, SUFFIX = "export_id", "_statistics"


class StatisticsError(ValueError):
    """Statistics that do not belong together, or a file that holds none."""


@dataclass(frozen=True)
class Statistics:
    """Count, mean and mean of squares of what a model hears of one speaker.

    Args:
        export_id: int. Names the weights that made them; no other model takes them.
        values: mapping of input name, such as "frame_statistics", to float64 (1 + 2 dim,).

    Raises:
        StatisticsError: values that are no statistics.

    Example:
        >>> rows = [Statistics(7, {"frame_statistics": np.array([1.0, x, x * x])}) for x in (1, 5)]
        >>> rows[0].merged(rows[1]).values["frame_statistics"].tolist()
        [2.0, 3.0, 13.0]
    """

    export_id: int
    values: Mapping[str, np.ndarray] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.values:
            raise StatisticsError("statistics: found none, expected those of one recording or more")
        for name, row in self.values.items():
            if row.ndim != 1 or len(row) % 2 == 0 or not np.isfinite(row).all() or row[0] < 1:
                raise StatisticsError(
                    f"{name}: found {row.size} values with a count of "
                    f"{row.flat[0] if row.size else None}, expected a count of 1 or more, means "
                    "and means of squares, all finite. Enrol the speaker again."
                )

    @classmethod
    def of_outputs(cls, outputs: Mapping[str, np.ndarray], export_id: int) -> Self:
        """Returns the merged statistics of the recordings in a signature's answer.

        Args:
            outputs: mapping of name to float (batch, 1 + 2 dim); others are left out.
            export_id: int. Names the model that answered.
        """
        values = {name: _merged(rows) for name, rows in outputs.items() if name.endswith(SUFFIX)}
        return cls(export_id, values)

    def merged(self, other: Self) -> Self:
        """Returns the statistics of both sets of recordings together.

        Those of frames and functionals are exactly those of all recordings. Embeddings were made
        with the statistics that were known then, and are merged as they are.

        Raises:
            StatisticsError: they are those of different models.
        """
        if other.export_id != self.export_id or other.values.keys() != self.values.keys():
            raise StatisticsError(
                f"statistics: found those of models {self.export_id} and {other.export_id}, "
                "expected those of one. Enrol all recordings with the model that is served now."
            )
        values = {
            name: _merged(np.stack([row, other.values[name]])) for name, row in self.values.items()
        }
        return type(self)(self.export_id, values)

    def only(self, names: Iterable[str]) -> Self:
        """Returns some of the statistics, those that are there."""
        return type(self)(
            self.export_id, {name: self.values[name] for name in names if name in self.values}
        )

    def inputs(self, rows: int) -> dict[str, np.ndarray]:
        """Returns the inputs of a request about so many recordings, float32 (rows, 1 + 2 dim)."""
        inputs = {name: row[None].astype(np.float32) for name, row in self.values.items()}
        inputs[ID] = np.array([self.export_id], np.int64)
        return {name: np.repeat(row, rows, axis=0) for name, row in inputs.items()}

    def write(self, path: str | Path) -> None:
        """Writes a file of NumPy's format npz; it appears whole or not at all."""
        path = Path(path)
        staged = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            with staged.open("xb") as stream:
                np.savez(stream, format=np.array(FORMAT), export_id=self.export_id, **self.values)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(staged, path)
        finally:
            staged.unlink(missing_ok=True)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Returns the statistics in a file of `write`.

        Raises:
            StatisticsError: there is no such file, or it is damaged, or no file of statistics.
        """
        path = Path(path)
        if not path.is_file():
            raise StatisticsError(f"{path}: found no file, expected statistics of a speaker.")
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            if str(arrays.pop("format")) != FORMAT:
                raise ValueError("another format")
            export_id = int(arrays.pop(ID))
            values = {name: row.astype(np.float64) for name, row in arrays.items()}
            if not all(name.endswith(SUFFIX) for name in values):
                raise ValueError("other arrays")
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            raise StatisticsError(
                f"{path}: found no statistics of a speaker, or damaged ones, expected a file that "
                "Statistics.write made. Enrol the speaker again."
            ) from None
        return cls(export_id, values)


def enrolment(
    ask: Ask, batches: Sequence[Mapping[str, np.ndarray]], known: Statistics | None
) -> Statistics:
    """Returns the statistics of a speaker's recordings, from two passes over all of them.

    Args:
        ask: `ModelConnection.ask`.
        batches: inputs "waveform" and "length" of the requests.
        known: statistics of earlier recordings, to which these are added.
    """
    firsts = []
    for batch in batches:
        outputs, _ = ask(batch, "enrol")
        firsts.append(Statistics.of_outputs(outputs, int(outputs[ID][0])))
    names = firsts[0].values.keys()
    if known is not None:
        firsts.append(known.only(names))
    first = functools.reduce(Statistics.merged, firsts)
    seconds = []
    for batch in batches:
        outputs, _ = ask({**batch, **first.inputs(len(batch["length"]))}, "enrol_embedding")
        seconds.append(Statistics.of_outputs(outputs, first.export_id))
    if known is not None:
        seconds.append(known.only(known.values.keys() - names))
    second = functools.reduce(Statistics.merged, seconds)
    return Statistics(first.export_id, {**first.values, **second.values})


def _merged(rows: np.ndarray) -> np.ndarray:
    """Returns the statistics of all rows (n, 1 + 2 dim) together, float64 (1 + 2 dim,)."""
    rows = np.asarray(rows, np.float64)
    counts = rows[:, :1]
    means = (counts * rows[:, 1:]).sum(axis=0) / max(counts.sum(), 1.0)
    return np.concatenate([[counts.sum()], means])
