"""Which model and action the path of a request names, by TensorFlow Serving's patterns."""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from serving.server.errors import RequestError
from serving.server.metrics import printable

METADATA = "/metadata"
MAX_INT64 = 2**63 - 1
# Longer paths are cut in messages.
SHOWN_LETTERS = 300
_MODEL = r"([^/:]+)"
_VERSION = r"(?:/versions/(\d+)|/labels/([^/:]+))?"
_FLAGS = re.IGNORECASE | re.ASCII
_PATTERNS = {
    "POST": re.compile(rf"/v1/models/{_MODEL}{_VERSION}(:classify|:regress|:predict)", _FLAGS),
    "GET": re.compile(rf"/v1/models(?:/{_MODEL})?{_VERSION}({METADATA})?", _FLAGS),
}


@dataclass(frozen=True)
class Target:
    """What a request is about.

    Args:
        name: str. Of the model.
        version: int or None.
        label: str or None. Of a version.
        action: str. `:predict` and the like, `/metadata`, or empty for the status.
    """

    name: str
    version: int | None
    label: str | None
    action: str


def origin_form(target: str) -> str:
    """Returns the path and query of a request's target, which may name the server as well.

    Example:
        >>> origin_form("http://localhost:8501/v1/models/moma"), origin_form("/v1/models/moma")
        ('/v1/models/moma', '/v1/models/moma')
    """
    match = re.match(r"https?://[^/?#]*", target, re.IGNORECASE)
    return (target[match.end() :] or "/") if match else target


def target_of(method: str, path: str) -> Target:
    """Returns what the path of a request names.

    Args:
        method: str. Of HTTP.
        path: str. As sent, with its query; each letter is a byte.

    Raises:
        RequestError: it names nothing that is served.

    Example:
        >>> target_of("POST", "/v1/models/my%20model/versions/3:predict")
        Target(name='my model', version=3, label=None, action=':predict')
    """
    pattern = _PATTERNS.get(method)
    match = pattern.fullmatch(path) if pattern else None
    if match is None:
        if path[:4].lower() == "/v1/":
            raise malformed(method, path)
        raise RequestError.not_found("Not Found")
    name, version, label, action = match.groups(default="")
    if not name:
        raise RequestError.invalid("Missing model name in request.")
    return Target(_decoded(name), _number(version), _decoded(label) or None, action)


def malformed(method: str, path: str) -> RequestError:
    """Returns the refusal of a path that has no meaning with that method."""
    return RequestError.invalid(f"Malformed request: {method} {printable(path, SHOWN_LETTERS)}")


def _decoded(text: str) -> str:
    """Returns a part of a path without its percent encoding."""
    return unquote_to_bytes(text.encode("latin-1")).decode("utf-8", "replace")


def _number(version: str) -> int | None:
    if not version:
        return None
    if len(version.lstrip("0")) > len(str(MAX_INT64)) or int(version) > MAX_INT64:
        shown = printable(version, SHOWN_LETTERS)
        raise RequestError.invalid(f"Failed to convert version: {shown} to numeric.")
    return int(version)
