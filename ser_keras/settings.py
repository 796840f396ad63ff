"""Checks plain values, as YAML and JSON give them, against dataclasses of pydantic.

The types are strict: a truth value is no number and a fraction is no count.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import reduce
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import (
    BeforeValidator,
    ConfigDict,
    PlainValidator,
    StrictFloat,
    TypeAdapter,
    ValidationError,
)

from ser_keras.errors import ConfigError, unknown_name

KNOWN_KEYS_ONLY = ConfigDict(extra="forbid")
# What pydantic's own sentences call less plainly.
EXPECTED = {
    "dataclass_type": "a mapping of keys to values",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
}

Settings = TypeVar("Settings")


def _numeral(value: Any) -> Any:
    """Returns text that is a number as float: YAML 1.1 reads 1e-3, without a dot, as text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _number_or_text(value: Any) -> float | str:
    value = _numeral(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"found {value!r}, expected a number or text.")
    return value if isinstance(value, str) else float(value)


Number = Annotated[StrictFloat, BeforeValidator(_numeral)]
NumberOrText = Annotated[float | str, PlainValidator(_number_or_text)]


def settings_from(kind: type[Settings], values: Any, where: str) -> Settings:
    """Returns the settings that plain values describe.

    Args:
        kind: a dataclass of pydantic, whose fields may be such dataclasses, too.
        values: mapping of keys to values.
        where: what the values belong to, for the error.

    Raises:
        ConfigError: an unknown key (the nearest valid one is named) or a wrong value.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise ConfigError(_sentence(kind, error.errors()[0], where)) from None


def _sentence(kind: type, error: Mapping[str, Any], where: str) -> str:
    """Returns where a value is wrong, what was found and what was expected.

    Args:
        kind: the dataclass.
        error: one of pydantic's `ErrorDetails`.
        where: the start of the value's path.
    """
    path = error["loc"]
    if error["type"] == "unexpected_keyword_argument":
        known = [field.name for field in fields(_annotation(kind, path[:-1]))]
        return f"{_dotted(where, path[:-1])}: {unknown_name('key', str(path[-1]), known)}"
    if error["type"] == "invalid_key":
        return f"{_dotted(where, path[:-1])}: found {path[-1]!r}, expected a key that is text."
    if error["type"] == "literal_error":
        choices = get_args(_annotation(kind, path))
        return f"{_dotted(where, path)}: {unknown_name('value', str(error['input']), choices)}"
    if error["type"] == "value_error":
        return f"{_dotted(where, path)}: {error['ctx']['error']}"
    expected = EXPECTED.get(error["type"], "").format(**error.get("ctx", {}))
    expected = expected or error["msg"].removeprefix("Input should be ")
    return f"{_dotted(where, path)}: found {error['input']!r}, expected {expected}."


def _annotation(kind: type, path: tuple[str, ...]) -> Any:
    return reduce(_annotation_below, path, kind)


def _annotation_below(section: Any, key: str) -> Any:
    """Returns the type of a dataclass's field, or of the values of a mapping."""
    return get_args(section)[1] if get_origin(section) is dict else get_type_hints(section)[key]


def _dotted(where: str, path: tuple[str | int, ...]) -> str:
    return where + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)


def differences(
    stored: Mapping[str, Any], asked: Mapping[str, Any], ignored: Sequence[str] = (), most: int = 5
) -> list[str]:
    """Returns a phrase with both values for every setting that differs.

    Args:
        stored: what a folder was made with; sections are mappings.
        asked: what it is asked for now.
        ignored: keys that make no difference.
        most: int. The number of phrases; one more then says how many are left out.

    Example:
        >>> differences({"epochs": 6, "optimizer": {"name": "sgd"}}, {"epochs": 7})
        ['epochs: 6 there, 7 asked', 'optimizer.name: sgd there, not asked for']
    """
    there, here = dict(_flat(stored, ignored)), dict(_flat(asked, ignored))
    phrases = [
        f"{key}: {_shown(there, key, 'there', 'not there')}, "
        f"{_shown(here, key, 'asked', 'not asked for')}"
        for key in {**there, **here}
        if (key in there) != (key in here) or there[key] != here[key]
    ]
    more = len(phrases) - most
    return phrases if more < 1 else [*phrases[:most], f"{more} more"]


def _flat(values: Mapping[str, Any], ignored: Sequence[str] = ()) -> Iterator[tuple[str, Any]]:
    """Yields key and value of settings in sections of any depth, as `section.key`."""
    for key, value in values.items():
        if key in ignored:
            continue
        if isinstance(value, Mapping) and value:
            yield from ((f"{key}.{inner}", one) for inner, one in _flat(value))
        else:
            # What was written as JSON comes back with lists.
            yield key, list(value) if isinstance(value, tuple) else value


def _shown(values: Mapping[str, Any], key: str, where: str, missing: str) -> str:
    if key not in values:
        return missing
    text = str(values[key])
    return f"{text if len(text) <= 60 else text[:57] + '...'} {where}"
