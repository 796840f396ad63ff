"""The facts of a feature set that `schema.json` holds."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ser_keras.errors import SchemaError
from ser_keras.files import parse_json, plain_name


@dataclass(frozen=True)
class Schema:
    """The facts a reader of a feature set needs before it reads a record.

    Args:
        spec: mapping. The feature specification, as its `to_dict` gives it.
        spec_name: str. Its name, see `ser_keras.features.specs.name_of_spec`.
        dim: int. Values per frame.
        corpus: str. Name of the corpus's reader.
        name: str. Name of this data set in results.
        labels: tuple of str. Labels that occur.
        class_sets: tuple of str. Class sets of the corpus, the default first.

    Example:
        >>> schema = Schema({"kind": "logmel"}, "logmel40", 40, "emodb", "emodb", ("sad",), ())
        >>> Schema.from_json(schema.to_json(), "schema.json") == schema
        True
    """

    spec: Mapping[str, Any]
    spec_name: str
    dim: int
    corpus: str
    name: str
    labels: tuple[str, ...]
    class_sets: tuple[str, ...]

    def to_json(self) -> str:
        """Returns the text of `schema.json`."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, where: object) -> "Schema":
        """Returns the schema that `to_json` wrote.

        Args:
            text: str. The file's content.
            where: name of the file in errors.

        Raises:
            SchemaError: not JSON, other fields than these, or a name that cannot name a file.
        """
        expected = sorted(field.name for field in fields(cls))
        try:
            values = parse_json(text)
        except ValueError as error:
            raise SchemaError(
                f"{where}: found no JSON ({error}), expected the schema of a feature set. Make the "
                "features again with `ser features`."
            ) from None
        names = sorted(values) if isinstance(values, dict) else type(values).__name__
        if names != expected:
            raise SchemaError(
                f"{where}: found {names}, expected the fields {', '.join(expected)}. The features "
                "are of another version; make them again with `ser features`."
            )
        for field in ("name", "corpus"):
            plain_name(values[field], f"{where}, {field}", SchemaError)
        lists = {name: tuple(values[name]) for name in ("labels", "class_sets")}
        return cls(**{**values, **lists})
