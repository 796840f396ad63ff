"""Methods, paths and headers, as TensorFlow Serving answers them."""

import json

import pytest

from tests.serving.server.rest.conftest import rest_server
from tests.serving.server.rest.raw_http import answers, request

CLOSE = "Connection: close"


def asked(port, method, path, *lines):
    (answer,) = answers(port, request(CLOSE, *lines, start=f"{method} {path} HTTP/1.1"))
    return answer


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("PUT", "/v1/models/none", 400, "Malformed request: PUT /v1/models/none"),
        ("DELETE", "/v1/models/none", 400, "Malformed request: DELETE /v1/models/none"),
        ("PATCH", "/v1/models/none:predict", 400, "Malformed request: PATCH"),
        ("TRACE", "/v1/models/none", 501, "TRACE is not served here."),
        ("BREW", "/v1/models/none", 501, "BREW is not served here."),
        ("PUT", "/elsewhere", 404, "Not Found"),
        ("GET", "/", 404, "Not Found"),
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", "/v1/models/none?a=1", 404, "Could not find any versions of model none?a=1"),
        ("GET", "/v1/models/none/metadata?a=1", 400, "Malformed request: GET /v1/models/none/m"),
        ("GET", "/v1/models/none:predict", 400, "Malformed request"),
        ("GET", "/v1/models/none/versions/-1", 400, "Malformed request"),
        ("GET", "/v1/models/n%C3%B6ne%3Apredict", 404, "versions of model n\u00f6ne:predict"),
        ("GET", "/v1/models/none/metadata", 404, "Servable not found for request: Latest(none)"),
        ("GET", "/v1/models/none/labels/a%20b/metadata", 400, "version label: a b"),
        (
            "GET",
            "/v1/models/none/versions/9223372036854775807/metadata",
            404,
            "Servable not found for request: Specific(none, 9223372036854775807)",
        ),
        (
            "GET",
            "/v1/models/none/versions/9223372036854775808",
            400,
            "Failed to convert version: 9223372036854775808 to numeric.",
        ),
        ("GET", "/v1/models/none/versions/" + "1" * 9000, 400, "Failed to convert version: 111"),
        ("POST", "/v1/models/none:classify", 501, "classify is not served here"),
        ("POST", "/v1/models/none:PREDICT", 400, "Malformed request"),
        ("POST", "/v1/models/none:predict", 400, "JSON Parse error: The document is empty"),
        ("OPTIONS", "/v1/models/none", 400, "Origin header is missing in CORS preflight"),
    ],
)
def test_refusals(empty_server, method, path, status, error):
    answer = asked(empty_server.port, method, path)
    assert answer.status == status
    assert error in answer.error
    assert len(answer.error) < 400


def test_a_head_request_has_the_header_of_an_answer_alone(empty_server):
    answer = asked(empty_server.port, "HEAD", "/v1/models/none")
    assert (answer.status, answer.body) == (400, b"")
    assert int(answer.headers["content-length"]) > 0


def test_a_browser_may_ask_only_if_that_is_wanted(empty_server):
    origin = "Origin: http://page.example"
    answer = asked(empty_server.port, "OPTIONS", "/v1/models/none:predict", origin)
    assert (answer.status, answer.body) == (200, b"")
    assert not any(name.startswith("access-control") for name in answer.headers)
    with rest_server(cors=True) as server:
        for method in ("OPTIONS", "GET"):
            answer = asked(server.port, method, "/v1/models/none", origin)
            assert answer.headers["access-control-allow-origin"] == "*"
            assert answer.headers["access-control-allow-methods"] == "post, get"
            assert answer.headers["access-control-allow-headers"] == "content-type"


def test_the_metrics_count_methods_and_not_what_clients_make_up(empty_server):
    asked(empty_server.port, "MADEUP", "/v1/models/none")
    asked(empty_server.port, "GET", "/v1/models/none", "Content-Length: x")
    path = "/monitoring/prometheus/metrics"
    text = asked(empty_server.port, "GET", path).body.decode()
    assert 'entrypoint="rest_other",status="UNIMPLEMENTED"' in text
    assert 'entrypoint="rest_unread",status="INVALID_ARGUMENT"' in text
    assert "MADEUP" not in text.upper().replace("REST_OTHER", "")
    answer = asked(empty_server.port, "GET", f"{path}?x=1")
    assert answer.status == 400
    assert answer.body.decode() == f"Unexpected path: {path}?x=1. Should be {path}"


def test_metadata_have_the_fields_with_defaults(server):
    answer = asked(server.rest_port, "GET", "/v1/models/moma/metadata")
    signatures = json.loads(answer.body)["metadata"]["signature_def"]["signature_def"]
    waveform = signatures["serving_default"]["inputs"]["waveform"]
    assert waveform["tensor_shape"]["unknown_rank"] is False
    assert waveform["tensor_shape"]["dim"] == 2 * [{"size": "-1", "name": ""}]
    initial = signatures["__saved_model_init_op"]
    assert (initial["inputs"], initial["method_name"]) == ({}, "")
