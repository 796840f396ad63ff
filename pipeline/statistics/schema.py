"""The data schema: a YAML file, drafted once from statistics and then kept by hand.

A draft describes the data as they are, with some tolerance; only a person who knows the data can
decide whether that is right. So an existing schema is never overwritten: a draft needs a new file,
and validation only reads.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from pipeline.statistics.drift import DRIFT_LIMITS
from pipeline.statistics.file import label_shares, num_copies
from ser_keras.errors import ConfigError, SchemaError, unknown_name
from ser_keras.files import parse_yaml, replacing

SCHEMA = "schema.yaml"

_HEAD = """\
# What these data have to be. Drafted from statistics of {name} ({fingerprint}), which say what was
# there, with some room. Correct it to what should be there, and keep it with the code.
"""


@dataclass(frozen=True)
class DataSchema:
    """The content of the file; `null` disables a check.

    Args:
        spec_name: str. Name of the feature spec.
        dim: int. Values per frame.
        dtype: str. Their type.
        sample_rate_hz: int. Rate that the features were made at.
        labels: mapping of every label to the smallest and largest share of utterances it may have.
        min_utterances_per_label: int.
        speakers: list of str. Exactly these speakers; null allows any.
        min_speakers: int.
        min_utterances_per_speaker: int.
        duration_s: list of two floats. Shortest and longest utterance.
        max_silence_ratio: float. Of any recording; null if recordings are not measured.
        max_clipping_ratio: float. The same.
        max_not_finite: int. Values of the features that are NaN or infinite.
        max_copies: int. Recordings that are copies of another one.
        max_dead_ratio: float. Share of recordings that could not be used.
        drift: mapping of the measures of `pipeline.statistics.drift.drift_between` to their limits.
    """

    spec_name: str
    dim: int
    dtype: str
    sample_rate_hz: int
    labels: Mapping[str, list[float]]
    min_utterances_per_label: int
    speakers: list[str] | None
    min_speakers: int
    min_utterances_per_speaker: int
    duration_s: list[float]
    max_silence_ratio: float | None
    max_clipping_ratio: float | None
    max_not_finite: int = 0
    max_copies: int = 0
    max_dead_ratio: float = 0.01
    drift: Mapping[str, float] = field(default_factory=lambda: dict(DRIFT_LIMITS))

    @classmethod
    def load(cls, path: str | Path) -> "DataSchema":
        """Reads the file, or `schema.yaml` of a folder.

        Raises:
            SchemaError: it cannot be read, or a key is missing, unknown or of another kind.
        """
        file = Path(path) / SCHEMA if Path(path).is_dir() else Path(path)
        try:
            values = parse_yaml(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())
            raise SchemaError(
                f"{file}: could not be read as a schema of data ({reason}). Correct it, or write "
                "a first draft with `ser statistics --draft FILE`."
            ) from None
        if not isinstance(values, dict):
            raise SchemaError(f"{file}: found {type(values).__name__}, expected keys with values.")
        known = {item.name: item for item in fields(cls)}
        for name in values:
            if name not in known:
                raise SchemaError(f"{file}: {unknown_name('key', str(name), known)}")
        for name, (is_valid, expected) in _CHECKS.items():
            if name not in values:
                raise SchemaError(f"{file}: found no {name}, expected {expected}. Add it.")
            if not is_valid(values[name]):
                raise SchemaError(
                    f"{file}: found {name}: {values[name]!r}, expected {expected}. Correct it."
                )
        return cls(**values)

    @classmethod
    def draft(cls, statistics: Mapping[str, Any]) -> "DataSchema":
        """Returns a schema that these statistics satisfy, with some tolerance.

        Shares of labels may halve or grow by half, counts may halve, and the shortest and longest
        utterance may be exceeded by a quarter.
        """
        data, counts = statistics["data"], statistics["counts"]
        duration = statistics["duration_s"]
        return cls(
            spec_name=data["spec_name"],
            dim=data["dim"],
            dtype=data["dtype"],
            sample_rate_hz=data["sample_rate_hz"],
            labels={
                label: [round(0.5 * share, 3), min(1.0, round(1.5 * share, 3))]
                for label, share in label_shares(statistics).items()
            },
            min_utterances_per_label=max(1, min(counts["label"].values()) // 2),
            speakers=list(counts["speaker"]),
            min_speakers=len(counts["speaker"]),
            min_utterances_per_speaker=max(1, min(counts["speaker"].values()) // 2),
            duration_s=[
                round(0.75 * duration["lowest"]["value"], 2),
                round(1.25 * duration["highest"]["value"], 2),
            ],
            max_silence_ratio=_with_tolerance(statistics["silence_ratio"], 0.1),
            max_clipping_ratio=_with_tolerance(statistics["clipping_ratio"], 0.005),
            max_copies=num_copies(statistics),
        )

    def write_new(self, path: Path, statistics: Mapping[str, Any]) -> None:
        """Writes a draft into a new file.

        Raises:
            ConfigError: the file exists already.
        """
        if path.exists():
            raise ConfigError(
                f"--draft {path}: found a file, expected none: a schema is kept by hand. Give "
                "another name, and compare the two."
            )
        head = _HEAD.format(
            name=statistics["data"]["name"], fingerprint=statistics["data"]["fingerprint"][:16]
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as stream:
            text = yaml.dump(asdict(self), Dumper=_Dumper, sort_keys=False, default_flow_style=None)
            stream.write((head + text).encode())


class _Dumper(yaml.SafeDumper):
    """Writes lists on one line, and quotes texts that could be read as numbers."""


def _text_node(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "'" if text[:1].isdigit() else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


def _list_node(dumper: _Dumper, values: list[Any]) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)


_Dumper.add_representer(str, _text_node)
_Dumper.add_representer(list, _list_node)


def _with_tolerance(distribution: Mapping[str, Any] | None, tolerance: float) -> float | None:
    if distribution is None or distribution["highest"] is None:
        return None
    return min(1.0, round(distribution["highest"]["value"] + tolerance, 3))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_range(value: Any) -> bool:
    is_pair = isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))
    return is_pair and value[0] <= value[1]


def _is_drift_limits(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == set(DRIFT_LIMITS)
        and all(map(_is_number, value.values()))
    )


_COUNT = (_is_count, "a whole number from 0 on")
_TEXT = (_is_text, "a text")
_NUMBER = (_is_number, "a number from 0 on")
_OPTIONAL_NUMBER = (lambda value: value is None or _is_number(value), "a number from 0 on, or null")
_CHECKS = {
    "spec_name": _TEXT,
    "dim": _COUNT,
    "dtype": _TEXT,
    "sample_rate_hz": _COUNT,
    "labels": (
        lambda value: (
            isinstance(value, dict) and bool(value) and all(map(_is_range, value.values()))
        ),
        "labels, each with its smallest and largest share, such as sad: [0.1, 0.3]",
    ),
    "min_utterances_per_label": _COUNT,
    "speakers": (
        lambda value: value is None or (isinstance(value, list) and all(map(_is_text, value))),
        "a list of names (in quotes where they are numbers), or null",
    ),
    "min_speakers": _COUNT,
    "min_utterances_per_speaker": _COUNT,
    "duration_s": (_is_range, "the shortest and the longest, such as [0.5, 20]"),
    "max_silence_ratio": _OPTIONAL_NUMBER,
    "max_clipping_ratio": _OPTIONAL_NUMBER,
    "max_not_finite": _COUNT,
    "max_copies": _COUNT,
    "max_dead_ratio": _NUMBER,
    "drift": (_is_drift_limits, f"a number for each of {', '.join(DRIFT_LIMITS)}"),
}
