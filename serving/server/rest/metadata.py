"""Status and metadata of models as TensorFlow Serving prints them in JSON."""

import inspect
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format

from serving.server.manager import Version

_STATES = {10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
# TensorFlow Serving prints fields that have their default, such as `unknown_rank`. Protobuf 5
# renamed the argument.
_ALL_FIELDS = next(
    name
    for name in inspect.signature(json_format.MessageToDict).parameters
    if name in ("including_default_value_fields", "always_print_fields_with_no_presence")
)


def signatures_json(signatures: Mapping[str, Any]) -> dict[str, Any]:
    """Returns SignatureDefs by name as in REST's metadata."""
    return {
        name: json_format.MessageToDict(
            signature, preserving_proto_field_name=True, **{_ALL_FIELDS: True}
        )
        for name, signature in signatures.items()
    }


def status_json(versions: Mapping[int, Version]) -> dict[str, Any]:
    """Returns the states of versions, by number."""
    return {
        "model_version_status": [
            {
                "version": str(number),
                "state": _STATES[known.state],
                "status": {
                    "error_code": known.error.code.name if known.error else "OK",
                    "error_message": known.error.message if known.error else "",
                },
            }
            for number, known in versions.items()
        ]
    }
