"""Anomalies of a data set: the record of one, their file, and a text for a refusal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.statistics.file import as_json
from ser_keras.files import replacing

ANOMALIES = "anomalies.json"


@dataclass(frozen=True)
class Anomaly:
    """One deviation from the schema.

    Args:
        feature: str. What deviates, such as `duration_s` or `label sad`.
        actual: str. The value in the data. Its key in anomalies.json is `found`.
        expected: str. The value in the schema.
        action: str. What to do.
    """

    feature: str
    actual: str
    expected: str
    action: str

    def __str__(self) -> str:
        return f"{self.feature}: found {self.actual}, expected {self.expected}. {self.action}"

    def to_dict(self) -> dict[str, str]:
        """Returns the anomaly with the keys of anomalies.json."""
        return {
            "feature": self.feature,
            "found": self.actual,
            "expected": self.expected,
            "action": self.action,
        }


def write_anomalies(
    folder: Path,
    anomalies: Sequence[Anomaly],
    statistics: Mapping[str, Any],
    drift: Mapping[str, Any] | None,
) -> Path:
    """Writes `anomalies.json`, with an empty list if there are no anomalies."""
    path = folder / ANOMALIES
    folder.mkdir(parents=True, exist_ok=True)
    report = {
        "data": statistics["data"],
        "anomalies": [anomaly.to_dict() for anomaly in anomalies],
        "drift": drift,
    }
    with replacing(path) as stream:
        stream.write(as_json(report))
    return path


def summary_of(anomalies: Iterable[Anomaly], most: int = 3) -> str:
    """Returns a text for a refusal: the number of anomalies, and the first of them."""
    texts = [str(anomaly) for anomaly in anomalies]
    more = f" And {len(texts) - most} more." if len(texts) > most else ""
    return f"{len(texts)} anomalies. {' '.join(texts[:most])}{more}"
