"""Reads the file that the statistics job writes, and computes shares and counts from it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ser_keras.errors import SchemaError
from ser_keras.files import parse_json

STATISTICS = "statistics.json"
FORMAT = 1


def load_statistics(path: str | Path) -> dict[str, Any]:
    """Returns the content of a statistics file.

    Args:
        path: of the file, or of the folder that holds it.

    Raises:
        SchemaError: there is no such file, or it has another version.
    """
    file = Path(path) / STATISTICS if Path(path).is_dir() else Path(path)
    try:
        statistics = parse_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SchemaError(
            f"{file}: could not be read as statistics ({reason}). Make them with `ser statistics`."
        ) from None
    if not isinstance(statistics, dict) or statistics.get("format") != FORMAT:
        raise SchemaError(
            f"{file}: found no statistics of format {FORMAT}. Make them again with "
            "`ser statistics`."
        )
    return statistics


def as_json(value: Mapping[str, Any]) -> bytes:
    """Returns values as the bytes of a JSON file; equal values give equal bytes."""
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def label_shares(statistics: Mapping[str, Any]) -> dict[str, float]:
    """Returns each label's share of the utterances."""
    counts = statistics["counts"]["label"]
    return {label: count / statistics["utterances"] for label, count in counts.items()}


def num_copies(statistics: Mapping[str, Any]) -> int:
    """Returns the number of recordings that are copies of another one."""
    return sum(len(group) - 1 for group in statistics["copies"])
