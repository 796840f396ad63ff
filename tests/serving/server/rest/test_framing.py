"""Where requests end, by RFC 9112: what is ambiguous is refused and ends the connection."""

import zlib

import pytest

from serving.server.rest.framing import MAX_CHUNK_LINE_BYTES, MAX_HEADER_BYTES
from tests.serving.server.rest.conftest import rest_server
from tests.serving.server.rest.raw_http import PREDICT, answer_on, answers, connected, request

BODY = b'{"instances": [1]}'
LENGTH = f"Content-Length: {len(BODY)}"
CHUNKED = "Transfer-Encoding: chunked"
CHUNKS = b"5\r\n" + BODY[:5] + b"\r\nd;name=value\r\n" + BODY[5:] + b"\r\n0\r\n\r\n"
SMUGGLED = request(start="GET /v1/models/smuggled HTTP/1.1")
CLOSE = "Connection: close"


def head(*lines):
    return request(LENGTH, *lines, body=BODY)


AMBIGUOUS = {
    "a sign": request("Content-Length: +18", body=BODY),
    "negative": request("Content-Length: -1", body=BODY),
    "an underscore": request("Content-Length: 1_8", body=BODY),
    "hexadecimal": request("Content-Length: 0x12", body=BODY),
    "a fraction": request("Content-Length: 18.0", body=BODY),
    "no number": request("Content-Length:", body=BODY),
    "thousands of digits": request("Content-Length: " + "1" * 5000, body=BODY),
    "two lengths": request(LENGTH, "Content-Length: 3", body=BODY),
    "the same length twice": request(LENGTH, LENGTH, body=BODY),
    "a list of lengths": request("Content-Length: 18, 18", body=BODY),
    "a length and chunks": request(LENGTH, CHUNKED, body=CHUNKS),
    "chunks and a length": request(CHUNKED, LENGTH, body=CHUNKS),
    "chunked twice": request("Transfer-Encoding: chunked, chunked", body=CHUNKS),
    "two encodings": request(CHUNKED, CHUNKED, body=CHUNKS),
    "an empty encoding": request("Transfer-Encoding:", LENGTH, body=BODY),
    "a folded encoding": request("Transfer-Encoding:\r\n chunked", body=CHUNKS),
    "chunks in 1.0": request(CHUNKED, start=f"POST {PREDICT} HTTP/1.0", body=CHUNKS),
    "a space before the colon": request("Content-Length : 18", body=BODY),
    "a line feed": request("X: 1\nContent-Length: 18", body=BODY),
    "a null": request("X: \0", LENGTH, body=BODY),
    "no host": request(LENGTH, host="", body=BODY),
    "two hosts": request(LENGTH, "Host: there", body=BODY),
    "an unknown version": request(LENGTH, start=f"POST {PREDICT} HTTP/2.0", body=BODY),
    "no version": request(LENGTH, start=f"POST {PREDICT}", body=BODY),
    "a target that is no URI": request(start="GET http://[/v1/models/none HTTP/1.1"),
    "a chunk without its end": request(CHUNKED, body=b"2\r\n{}}\r\n0\r\n\r\n"),
    "a chunk of no number": request(CHUNKED, body=b"g\r\n{}\r\n0\r\n\r\n"),
    "a chunk with a sign": request(CHUNKED, body=b"+2\r\n{}\r\n0\r\n\r\n"),
    "a chunk of a prefix": request(CHUNKED, body=b"0x2\r\n{}\r\n0\r\n\r\n"),
    "an endless line of a chunk": request(CHUNKED, body=b"1" * (MAX_CHUNK_LINE_BYTES + 2)),
    "an endless trailer": request(CHUNKED, body=b"0\r\nX: " + b"1" * (MAX_HEADER_BYTES + 2)),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_an_ambiguous_length_is_refused_once_and_ends_the_connection(empty_server, name):
    (answer,) = answers(empty_server.port, AMBIGUOUS[name] + SMUGGLED)
    assert answer.status == 400
    assert answer.headers["connection"] == "close"
    assert answer.headers["content-type"] == "application/json"
    assert answer.error


@pytest.mark.parametrize("encoding", ["gzip, chunked", "chunked, identity", "x"])
def test_an_encoding_that_is_unknown_is_not_implemented(empty_server, encoding):
    data = request(f"Transfer-Encoding: {encoding}", body=CHUNKS)
    (answer,) = answers(empty_server.port, data + SMUGGLED)
    assert (answer.status, answer.headers["connection"]) == (501, "close")


@pytest.mark.parametrize("path", [PREDICT, "/elsewhere", "/v1/models/none", "/v1/models/a:b"])
def test_the_body_of_a_refused_request_is_no_request(empty_server, path):
    body = SMUGGLED
    first = request(f"Content-Length: {len(body)}", start=f"POST {path} HTTP/1.1", body=body)
    refused, last = answers(empty_server.port, first + request(CLOSE, start="GET /last HTTP/1.1"))
    assert refused.status in (400, 404)
    assert (last.status, last.error) == (404, "Not Found")


def test_requests_in_one_packet_are_answered_in_order(empty_server):
    starts = [f"GET /v1/models/{name} HTTP/1.1" for name in "abc"]
    data = b"".join(request(start=start) for start in starts[:2])
    refusals = answers(empty_server.port, data + request(CLOSE, start=starts[2]))
    assert [answer.error[-1] for answer in refusals] == ["a", "b", "c"]


def test_chunks_are_one_body_and_end_the_connection(empty_server):
    (answer,) = answers(empty_server.port, request(CHUNKED, body=CHUNKS) + SMUGGLED)
    assert (answer.status, answer.error) == (404, "Servable not found for request: Latest(none)")


def test_a_body_is_asked_for_when_the_client_waits_for_that(empty_server):
    with connected(empty_server.port) as connection:
        connection.sendall(request(LENGTH, "Expect: 100-continue", CLOSE))
        assert connection.recv(2**16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        assert answer_on(connection).status == 404


def test_a_body_that_is_too_large_is_not_asked_for():
    with rest_server(max_body_bytes=100) as server:
        data = request("Content-Length: 101", "Expect: 100-continue")
        (answer,) = answers(server.port, data)
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    assert answer.error.startswith("The body is larger than 100 bytes.")


def test_a_client_that_sends_far_too_much_still_gets_its_answer():
    with rest_server(max_body_bytes=100) as server:
        body = b" " * 2**22
        (answer,) = answers(server.port, request(f"Content-Length: {len(body)}", body=body))
    assert answer.status == 413


def test_chunks_are_counted_as_they_come():
    with rest_server(max_body_bytes=100) as server:
        body = b"32\r\n" + b" " * 50 + b"\r\n"
        (answer,) = answers(server.port, request(CHUNKED, body=3 * body))
    assert answer.status == 413


def test_a_header_that_is_too_long_is_refused(empty_server):
    data = request("X: " + "1" * MAX_HEADER_BYTES)
    (answer,) = answers(empty_server.port, data)
    assert (answer.status, answer.headers["connection"]) == (431, "close")


@pytest.mark.parametrize("target", ["http://here:8501/v1/models/none", "HTTP://x/v1/models/none"])
def test_a_target_may_name_the_server(empty_server, target):
    (answer,) = answers(empty_server.port, request(CLOSE, start=f"GET {target} HTTP/1.1"))
    assert answer.error == "Could not find any versions of model none"


def test_http_1_0_is_answered_and_closed_unless_it_is_kept(empty_server):
    start = "GET /v1/models/none HTTP/1.0"
    kept = request("Connection: keep-alive", start=start, host="")
    first, second = answers(empty_server.port, kept + request(start=start, host=""))
    assert first.headers["connection"] == "keep-alive"
    assert second.headers["connection"] == "close"


def gzipped(data):
    compressor = zlib.compressobj(wbits=31)
    return compressor.compress(data) + compressor.flush()


@pytest.mark.parametrize(
    ("body", "encoding", "status", "error"),
    [
        (gzipped(BODY), "gzip", 404, "Servable not found"),
        (gzipped(BODY), "X-GZIP", 404, "Servable not found"),
        (BODY, "identity", 404, "Servable not found"),
        (gzipped(b" " * 1000), "gzip", 413, "more than 500 bytes"),
        (gzipped(BODY)[:-3], "gzip", 400, "incomplete"),
        (gzipped(BODY) + b"{}", "gzip", 400, "more than one"),
        (BODY, "gzip", 400, "The body is not gzip data."),
        (BODY, "br", 400, "Content-Encoding is 'br', expected gzip or none."),
    ],
)
def test_bodies_may_be_compressed(body, encoding, status, error):
    with rest_server(max_body_bytes=500) as server:
        lines = (f"Content-Length: {len(body)}", f"Content-Encoding: {encoding}", CLOSE)
        (answer,) = answers(server.port, request(*lines, body=body))
    assert answer.status == status
    assert error in answer.error
