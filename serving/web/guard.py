"""Stands before the page and refuses what does not come from the page itself.

A page on this machine can be reached by every other page in the same browser. Two headers that a
browser always sends tell them apart: `Host`, the name by which the page was reached, and `Origin`,
the page that asks. https://owasp.org/www-community/attacks/csrf, and for a foreign name that leads
to this machine https://en.wikipedia.org/wiki/DNS_rebinding.
"""

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ser_keras.cli.console import printable
from serving.web.uploads import Quota

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("localhost", "127.0.0.1", "::1")
# What is no upload is a click or a number.
LARGEST_MESSAGE_BYTES = 2**20
UPLOAD_PATH = "/gradio_api/upload"
READING = ("GET", "HEAD")
# gradio's code and styles stand in its page. Nothing is loaded from another machine, whatever a
# model, its card or a file is called.
_OWN = "'self' data: blob:"
HEADERS = {
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
        f"style-src 'self' 'unsafe-inline'; img-src {_OWN}; media-src {_OWN}; font-src {_OWN}; "
        f"connect-src {_OWN}; worker-src {_OWN}; object-src 'none'; base-uri 'self'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered.

    Args:
        status: int. Of HTTP.
        reason: str. A sentence.
    """

    status: int
    reason: str


class Guard:
    """An ASGI application before another one.

    Args:
        app: the page.
        host: str. Address that the page listens on.
        allowed: further names by which the page may be reached, such as that of a proxy.
        quota: of the uploads.
    """

    def __init__(self, app: App, host: str, allowed: Collection[str], quota: Quota):
        self.app, self.quota = app, quota
        self.allowed = {name.lower() for name in allowed}
        # A page that listens on all addresses has none of these as a name.
        self.hosts = {host.lower(), *self.allowed} - {"0.0.0.0", "::"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or lets the page answer it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = _headers_of(scope)
        refusal = self._refusal(scope, headers)
        if scope["type"] != "http":
            # The page has no web sockets.
            await send({"type": "websocket.close", "code": 1008})
        elif refusal is not None:
            await _refuse(refusal, send)
        else:
            is_upload = _is_upload(scope)
            with self.quota.arriving(int(headers.get("content-length", 0)) if is_upload else 0):
                await self.app(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> Refusal | None:
        return (
            self._refused_host(scope, headers)
            or self._refused_origin(scope, headers)
            or self._refused_size(scope, headers)
        )

    def _refused_host(self, scope: Scope, headers: dict[str, str]) -> Refusal | None:
        name = _host_name(f"//{headers.get('host', '')}")
        # The address that the request came to, where the page listens on several.
        reached = (scope.get("server") or ("",))[0].removeprefix("::ffff:")
        known = self.hosts | {reached.lower()}
        if known & set(LOOPBACK):
            known |= set(LOOPBACK)
        if name in known:
            return None
        return Refusal(
            421,
            f"This page does not answer to the name {_short(name)}. Whoever started it can allow "
            "the name with: ser web --allow-host NAME",
        )

    def _refused_origin(self, scope: Scope, headers: dict[str, str]) -> Refusal | None:
        if (origin := headers.get("origin")) is None:
            return None
        host = headers.get("host", "").lower()
        # A proxy may speak TLS for the page.
        same = origin.lower() in (f"http://{host}", f"https://{host}")
        if same or _host_name(origin) in self.allowed:
            return None
        return Refusal(403, f"The page {_short(origin)} may not use this one.")

    def _refused_size(self, scope: Scope, headers: dict[str, str]) -> Refusal | None:
        if scope.get("method") in READING:
            return None
        length = headers.get("content-length", "" if "transfer-encoding" in headers else "0")
        if not (length.isascii() and length.isdecimal()):
            return Refusal(411, "Expected a request that says how long it is (Content-Length).")
        if not _is_upload(scope):
            limit = LARGEST_MESSAGE_BYTES
            reason = f"Found a message of {length} bytes, expected at most {limit}."
            return Refusal(413, reason) if int(length) > limit else None
        if self.quota.has_room_for(int(length)):
            return None
        return Refusal(
            507,
            "There is no room for this recording beside those of others. They are deleted after an "
            "hour: try again later, or give a shorter one.",
        )


def _headers_of(scope: Scope) -> dict[str, str]:
    """Returns the headers by their names; of one that comes twice both, which nothing accepts."""
    headers: dict[str, str] = {}
    for key, value in scope["headers"]:
        name, text = key.decode("latin-1").lower(), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


def _host_name(url: str) -> str:
    """Returns the name in a URL without its port, "" if there is none.

    Example:
        >>> _host_name("//LOCALHOST:7860"), _host_name("http://[::1]:1/"), _host_name("null")
        ('localhost', '::1', '')
    """
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_upload(scope: Scope) -> bool:
    return scope.get("method") == "POST" and scope["path"].rstrip("/") == UPLOAD_PATH


def _short(name: str) -> str:
    return printable(name[:100], keep="") or "''"


def _with_headers(send: Send) -> Send:
    """Returns `send` which adds `HEADERS` to an answer."""

    async def send_with_headers(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            added = [(key.encode(), value.encode()) for key, value in HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return send_with_headers


async def _refuse(refusal: Refusal, send: Send) -> None:
    """Answers with a sentence and closes the connection, so that the rest is not received."""
    body = f"{refusal.reason}\n".encode()
    headers = {
        **HEADERS,
        "content-type": "text/plain; charset=utf-8",
        "content-length": str(len(body)),
        "connection": "close",
    }
    pairs = [(key.encode(), value.encode()) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
