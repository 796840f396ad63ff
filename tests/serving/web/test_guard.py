"""Who may use the page, and how much it takes: requests to the guard before an application."""

import asyncio
from urllib.parse import unquote

import pytest

from serving.web.guard import HEADERS, LARGEST_MESSAGE_BYTES, Guard
from serving.web.uploads import Quota

QUOTA_BYTES = 1000
UPLOAD = "/gradio_api/upload"


@pytest.fixture
def quota(tmp_path):
    return Quota(tmp_path, QUOTA_BYTES)


def answer(guard, method="GET", path="/", reached="127.0.0.1", **headers):
    """Returns (status, headers, body) of an answer; a header's name has _ for -."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    pairs = [(k.replace("_", "-").encode(), v.encode("latin-1")) for k, v in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": pairs}
    asyncio.run(guard(scope | {"server": (reached, 7860)}, receive, send))
    start, body = sent
    return start["status"], dict(start["headers"]), body["body"].decode()


async def page(scope, receive, send):
    """An application that answers everything."""
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"the page"})


def status(guard, *arguments, **headers):
    return answer(guard, *arguments, **headers)[0]


# === By which name the page was reached ===


@pytest.mark.parametrize(
    ("host", "reached", "name", "code"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1:7860", 200),
        ("127.0.0.1", "127.0.0.1", "LocalHost:7860", 200),
        ("127.0.0.1", "127.0.0.1", "[::1]:7860", 200),
        ("127.0.0.1", "127.0.0.1", "localhost", 200),
        ("localhost", "::1", "localhost:7860", 200),
        ("127.0.0.1", "127.0.0.1", "evil.example", 421),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1.evil.example:7860", 421),
        ("127.0.0.1", "127.0.0.1", "localhost.evil.example", 421),
        ("127.0.0.1", "127.0.0.1", "evil.example#localhost", 421),
        ("127.0.0.1", "127.0.0.1", "192.168.1.5", 421),
        ("127.0.0.1", "127.0.0.1", "", 421),
        ("127.0.0.1", "127.0.0.1", "[", 421),
        ("127.0.0.1", "127.0.0.1", "localhost, evil.example", 421),
        # On all addresses: by the one that the connection came to.
        ("0.0.0.0", "192.168.1.5", "192.168.1.5:7860", 200),
        ("0.0.0.0", "192.168.1.5", "evil.example:7860", 421),
        ("0.0.0.0", "192.168.1.5", "localhost:7860", 421),
        ("0.0.0.0", "127.0.0.1", "localhost:7860", 200),
        ("0.0.0.0", "192.168.1.5", "0.0.0.0:7860", 421),
        ("::", "::ffff:192.168.1.5", "192.168.1.5:7860", 200),
        ("ser.lan", "192.168.1.5", "ser.lan:7860", 200),
        # Behind a proxy.
        ("127.0.0.1", "127.0.0.1", "Ser.Example.org", 200),
    ],
)
def test_the_page_answers_to_the_names_by_which_it_listens(quota, host, reached, name, code):
    guard = Guard(page, host, ["ser.example.org"], quota)
    assert status(guard, reached=reached, host=name) == code


def test_a_request_without_a_name_or_with_two_is_refused(quota):
    guard = Guard(page, "127.0.0.1", [], quota)
    assert status(guard) == 421
    twice = {"host": "localhost", "Host": "evil.example"}
    assert status(guard, **twice) == 421


def test_the_refusal_says_what_to_do_and_prints_no_escapes(quota):
    code, headers, text = answer(Guard(page, "127.0.0.1", [], quota), host="a\x1b[31m" + "b" * 999)
    assert (code, headers[b"connection"]) == (421, b"close")
    assert headers[b"content-type"].startswith(b"text/plain")
    assert "ser web --allow-host NAME" in text
    assert "\x1b" not in unquote(text)
    assert len(text) < 300


# === Which page asks ===


@pytest.mark.parametrize(
    ("origin", "code"),
    [
        ("http://localhost:7860", 200),
        ("http://LOCALHOST:7860", 200),
        ("https://ser.example.org", 200),
        ("https://ser.example.org:444", 200),
        ("http://localhost:9999", 403),
        ("http://127.0.0.1:7860", 403),
        ("http://evil.example", 403),
        ("http://evil.example/http://localhost:7860", 403),
        ("http://localhost:7860@evil.example", 403),
        ("null", 403),
        ("", 403),
        ("file://", 403),
        ("http://[", 403),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_only_the_page_itself_and_the_proxy_may_ask(quota, method, origin, code):
    guard = Guard(page, "127.0.0.1", ["ser.example.org"], quota)
    assert status(guard, method, host="localhost:7860", origin=origin) == code


def test_a_proxy_may_give_its_own_name_as_origin_alone(quota):
    guard = Guard(page, "127.0.0.1", ["ser.example.org"], quota)
    assert status(guard, host="127.0.0.1:7860", origin="https://ser.example.org") == 200


def test_what_is_no_request_of_http_is_refused(quota):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "websocket", "path": "/", "headers": [(b"host", b"localhost")]}
    asyncio.run(Guard(page, "localhost", [], quota)(scope, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


# === How much is sent ===


@pytest.mark.parametrize(
    ("path", "length", "code"),
    [
        ("/gradio_api/queue/join", str(LARGEST_MESSAGE_BYTES), 200),
        ("/gradio_api/queue/join", str(LARGEST_MESSAGE_BYTES + 1), 413),
        (UPLOAD, str(QUOTA_BYTES), 200),
        (f"{UPLOAD}/", str(QUOTA_BYTES + 1), 507),
        (UPLOAD, "-1", 411),
        (UPLOAD, "1_0", 411),
        (UPLOAD, "1, 2", 411),
        (UPLOAD, "²", 411),
    ],
)
def test_messages_and_uploads_have_a_length_and_a_limit(quota, path, length, code):
    guard = Guard(page, "localhost", [], quota)
    assert status(guard, "POST", path, host="localhost", content_length=length) == code


def test_what_does_not_say_how_long_it_is_is_refused(quota):
    guard = Guard(page, "localhost", [], quota)
    assert status(guard, "POST", UPLOAD, host="localhost", transfer_encoding="chunked") == 411
    assert status(guard, "POST", "/gradio_api/queue/join", host="localhost") == 200


def test_uploads_together_stay_within_the_quota(quota):
    guard = Guard(page, "localhost", [], quota)
    (quota.folder / "a").mkdir()
    (quota.folder / "a" / "speech.wav").write_bytes(bytes(600))

    def upload(num_bytes):
        return status(guard, "POST", UPLOAD, host="localhost", content_length=str(num_bytes))

    assert (upload(400), upload(401)) == (200, 507)
    with quota.arriving(300):
        assert (upload(100), upload(101)) == (200, 507)
    assert upload(400) == 200
    (quota.folder / "a" / "speech.wav").unlink()
    assert upload(QUOTA_BYTES) == 200


def test_an_upload_that_fails_is_no_longer_counted(quota):
    async def broken(scope, receive, send):
        raise ConnectionResetError

    headers = {"host": "localhost", "content_length": "900"}
    with pytest.raises(ConnectionResetError):
        answer(Guard(broken, "localhost", [], quota), "POST", UPLOAD, **headers)
    assert status(Guard(page, "localhost", [], quota), "POST", UPLOAD, **headers) == 200


# === What a browser may load ===


def test_every_answer_says_that_nothing_comes_from_elsewhere(quota):
    guard = Guard(page, "localhost", [], quota)
    _, passed, _ = answer(guard, host="localhost")
    _, refused, _ = answer(guard, host="evil.example")
    for name, value in HEADERS.items():
        assert passed[name.encode()] == refused[name.encode()] == value.encode()
    assert passed[b"content-type"] == b"text/plain"
    policy = HEADERS["content-security-policy"]
    assert "http" not in policy
    assert "*" not in policy
    assert "default-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
