import dataclasses

import pytest

from ser_keras.data.schema import Schema
from ser_keras.errors import SchemaError

SCHEMA = Schema({"kind": "logmel"}, "logmel40", 40, "emodb", "emodb-2s", ("sad",), ("emodb4",))


def test_schema_survives_its_file():
    assert Schema.from_json(SCHEMA.to_json(), "here") == SCHEMA


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"),
        ("[]", "list"),
        ("{}", r"found \[\]"),
        (SCHEMA.to_json().replace('"dim"', '"dims"'), "'dims'"),
    ],
)
def test_a_damaged_schema_is_named_with_a_remedy(text, message):
    with pytest.raises(SchemaError, match=rf"(?s)^a/schema.json: .*{message}.*`ser features`"):
        Schema.from_json(text, "a/schema.json")


@pytest.mark.parametrize("field", ["name", "corpus"])
def test_a_name_that_would_lead_results_elsewhere_is_refused(field):
    forged = dataclasses.replace(SCHEMA, **{field: "../../esc"})
    with pytest.raises(SchemaError, match=rf"^schema.json, {field}: found the name '../../esc'"):
        Schema.from_json(forged.to_json(), "schema.json")
