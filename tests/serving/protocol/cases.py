"""The cases, as data: a request, TensorFlow Serving's answer, and where its source says so.

Each file of `cases/` is one group. An answer is a mapping; of what is compared it names only what
matters:

- gRPC: `code`, a part of the `message`, some `outputs` or the `only_outputs`, and parts of the
  `answer` as JSON;
- REST: `status`, a part of the `error`, parts of the `json`, of the `text`, the `type`, and a
  header that has to be `absent`;
- bytes on a connection: the `statuses` of all answers, and whether it is `closed` afterwards.

A list of codes or statuses in place of one means any of them.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "cases"
# In the order in which they are asked: the last group changes what is served.
GROUPS = (
    "grpc_predict",
    "grpc_models",
    "rest_paths",
    "rest_json",
    "rest_values",
    "http_framing",
    "grpc_reload",
)
# What differs in its wording alone has TensorFlow Serving's code.
WORDS = ("parser words", "own words")
# What is compared with another field of the answer than that of its own name.
FIELDS = {"absent": "headers", "only_outputs": "outputs"}
# Letters of an answer that a failure shows.
SHOWN = 300


@dataclass(frozen=True)
class Case:
    """One request.

    Args:
        group: str. Title of the group.
        name: str.
        request: mapping. What to send, as the group's kind of call takes it.
        source: mapping. TensorFlow Serving's answer.
        where: str. File and function of its source.
        differs: str. Key of the reason why ours is another answer; "" where it is not.
        ours: mapping. Our answer, where it is another one.
    """

    group: str
    name: str
    request: Mapping[str, Any]
    source: Mapping[str, Any]
    where: str
    differs: str = ""
    ours: Mapping[str, Any] | None = None

    @property
    def expected(self) -> Mapping[str, Any]:
        """What the server has to answer."""
        if self.differs in WORDS:
            return {key: self.source[key] for key in ("code", "status") if key in self.source}
        return self.source if self.ours is None else self.ours


def read_cases() -> list[Case]:
    """Returns all cases in the order in which they are to be asked."""
    return [case for group in GROUPS for case in _read_group(group)]


def read_differences() -> dict[str, str]:
    """Returns why some answers differ, by key."""
    return yaml.safe_load((FOLDER / "differences.yaml").read_text(encoding="utf-8"))


def read_sources() -> dict[str, str]:
    """Returns the repository and the commit of each file that was read."""
    return yaml.safe_load((FOLDER / "sources.yaml").read_text(encoding="utf-8"))


def _read_group(group: str) -> Iterator[Case]:
    content = yaml.safe_load((FOLDER / f"{group}.yaml").read_text(encoding="utf-8"))
    for row in content["cases"]:
        row = content.get("defaults", {}) | row
        name, source, where = row.pop("id"), row.pop("source"), row.pop("where")
        differs, ours = row.pop("differs", ""), row.pop("ours", None)
        yield Case(content["title"], name, row, source, where, differs, ours)


def disagreements(expected: Mapping[str, Any], answer: Mapping[str, Any]) -> list[str]:
    """Returns in what an answer is not the expected one; nothing where it is.

    Example:
        >>> disagreements({"code": "OK"}, {"code": "NOT_FOUND", "message": "none"})
        ['code: found NOT_FOUND, expected OK']
    """
    return [
        f"{key}: found {str(answer.get(FIELDS.get(key, key)))[:SHOWN]}, "
        f"expected {str(value)[:SHOWN]}"
        for key, value in expected.items()
        if not _agrees(key, value, answer.get(FIELDS.get(key, key)))
    ]


def _agrees(key: str, expected: Any, answer: Any) -> bool:
    if key in ("message", "error"):
        return answer is not None and str(expected) in answer
    if key == "text":
        return all(part in (answer or "") for part in expected)
    if key in ("code", "status"):
        return answer in (expected if isinstance(expected, list) else [expected])
    if key == "statuses":
        return _agree_in_turn(expected, list(answer or []))
    if key == "absent":
        return expected.lower() not in (answer or ())
    if key == "signatures":
        return set(expected) <= set(answer or ())
    if key == "only_outputs":
        return set(answer or ()) == set(expected) and _contains(answer, expected)
    return _contains(answer, expected)


def _agree_in_turn(expected: list[Any], answer: list[int]) -> bool:
    """Tells whether each answer's status is the expected one, or one of those; None for none."""
    for number, status in enumerate(expected):
        choices = status if isinstance(status, list) else [status]
        if (answer[number] if number < len(answer) else None) not in choices:
            return False
    return len(answer) <= len(expected)


def _contains(answer: Any, expected: Any) -> bool:
    """Tells whether a value has all that is expected of it: mappings may have more keys."""
    if isinstance(expected, Mapping):
        return isinstance(answer, Mapping) and all(
            key in answer and _contains(answer[key], value) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(answer, list)
            and len(answer) == len(expected)
            and all(map(_contains, answer, expected))
        )
    if isinstance(expected, float):
        if isinstance(answer, bool) or not isinstance(answer, float | int):
            return False
        both_nan = math.isnan(answer) and math.isnan(expected)
        return both_nan or math.isclose(answer, expected, rel_tol=1e-6)
    return type(answer) is type(expected) and answer == expected
