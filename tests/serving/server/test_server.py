"""The contract of TensorFlow Serving: statuses and messages over gRPC and REST."""

import json
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.serving import exports

INPUTS = {"waveform": np.zeros((1, 500), np.float32) + 0.1, "length": np.array([500], np.int32)}


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(f"localhost:{server.port}") as open_channel:
        yield open_channel


@pytest.fixture(scope="module")
def prediction(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def models(channel):
    return model_service_pb2_grpc.ModelServiceStub(channel)


def request(inputs=INPUTS, spec='name: "moma"', outputs=()):
    message = predict_pb2.PredictRequest(output_filter=outputs)
    text_format.Parse(spec, message.model_spec)
    for name, values in inputs.items():
        message.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    return message


def refused(call, message):
    with pytest.raises(grpc.RpcError) as error:
        call(message, timeout=20)
    return error.value.code().name, error.value.details()


def test_an_answer_names_model_and_version_and_has_typed_fields(prediction):
    answer, call = prediction.Predict.with_call(
        request(spec='name: "moma" version_label: "stable"')
    )
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("moma", 1)
    assert answer.model_spec.signature_name == "serving_default"
    assert len(answer.outputs["probabilities"].float_val) == len(exports.CLASSES)
    assert not answer.outputs["probabilities"].tensor_content
    assert [c.decode() for c in answer.outputs["classes"].string_val] == list(exports.CLASSES)
    headers = dict(call.initial_metadata())
    assert headers["x-ser-server"] == "development server, not TensorFlow Serving"
    answer = prediction.Predict(request(outputs=["label"]))
    assert list(answer.outputs) == ["label"]


@pytest.mark.parametrize(
    ("message", "code", "details"),
    [
        (request(spec='name: "none"'), "NOT_FOUND", "Servable not found for request: Latest(none)"),
        (
            request(spec='name: "moma" version { value: 7 }'),
            "NOT_FOUND",
            "Servable not found for request: Specific(moma, 7)",
        ),
        (request(spec=""), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (
            request(spec='name: "moma" version_label: "x"'),
            "INVALID_ARGUMENT",
            "Unrecognized servable version label: x",
        ),
        (
            request(spec='name: "moma" signature_name: "x"'),
            "FAILED_PRECONDITION",
            'Serving signature key "x" not found.',
        ),
        (
            request({"length": INPUTS["length"]}),
            "INVALID_ARGUMENT",
            "input size does not match signature: 1!=2 len({length}) != len({length,waveform}). "
            "Sent extra: {}. Missing but required: {waveform}.",
        ),
        (
            request({"wave": INPUTS["waveform"], "length": INPUTS["length"]}),
            "INVALID_ARGUMENT",
            "input tensor alias not found in signature: wave.",
        ),
        (
            request(outputs=["x"]),
            "INVALID_ARGUMENT",
            "output tensor alias not found in signature: x",
        ),
        (
            request(outputs=["label", "label"]),
            "INVALID_ARGUMENT",
            "duplicate output tensor alias: label",
        ),
        (
            request(INPUTS | {"waveform": np.zeros((1, 500))}),
            "INVALID_ARGUMENT",
            "float but double is",
        ),
        (request(INPUTS | {"waveform": np.zeros(500, "f4")}), "INVALID_ARGUMENT", ""),
        (
            request(INPUTS | {"length": np.int32([0])}),
            "INVALID_ARGUMENT",
            "length must be 1 or more",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusals_are_tensorflow_servings(prediction, message, code, details):
    found_code, found_details = refused(prediction.Predict, message)
    assert found_code == code
    assert details in found_details


def test_a_number_too_large_for_its_type_is_refused(server):
    body = {"inputs": {"waveform": [[3.5e38]], "length": [1]}}
    status, text = rest(server, "/v1/models/moma:predict", json.dumps(body).encode())
    assert status == 400
    assert "Cannot convert JSON value: 3.5e+38 to float without loss of precision." in str(text)


def test_too_large_and_too_late(prediction):
    large = INPUTS | {"waveform": np.zeros((1, 2**20), np.float32)}
    assert refused(prediction.Predict, request(large))[0] == "RESOURCE_EXHAUSTED"
    with pytest.raises(grpc.RpcError) as error:
        prediction.Predict(request(), timeout=1e-4)
    assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def declared(shape, **values):
    """Returns a request whose waveform has this shape, and these values."""
    message = request()
    waveform = message.inputs["waveform"]
    waveform.Clear()
    waveform.dtype = 1
    for size in shape:
        waveform.tensor_shape.dim.add(size=size)
    for field, numbers in values.items():
        getattr(waveform, field).extend(numbers)
    return message


@pytest.mark.parametrize(
    ("message", "details"),
    [
        (
            declared([1, 3_000_000_000], float_val=[0.5]),
            "tensor parsing error: waveform: Shape [1,3000000000] is too large",
        ),
        (declared([10**10], float_val=[0.5]), "is too large"),
        (declared([1, -1], float_val=[0.5]), "is not fully defined"),
        (declared([100_000, 1], float_val=[0.5]), "Task size 100000 is larger than maximum input"),
    ],
)
def test_a_few_bytes_do_not_take_gigabytes(prediction, message, details):
    if "Task" in details:
        message.inputs["length"].CopyFrom(tf.make_tensor_proto(np.ones(100_000, np.int32)))
    code, found_details = refused(prediction.Predict, message)
    assert code == "INVALID_ARGUMENT"
    assert details in found_details


def test_a_large_batch_runs_in_parts_with_the_answers_of_its_rows(prediction):
    rng = np.random.default_rng(0)
    length = rng.integers(300, 1000, 150).astype(np.int32)
    waveform = rng.normal(0, 0.1, (150, 1000)).astype(np.float32)
    answer = prediction.Predict(request({"waveform": waveform, "length": length}))
    probabilities = tf.make_ndarray(answer.outputs["probabilities"])
    for row in (0, 63, 64, 149):
        alone = request({"waveform": waveform[row : row + 1], "length": length[row : row + 1]})
        expected = tf.make_ndarray(prediction.Predict(alone).outputs["probabilities"])
        np.testing.assert_allclose(probabilities[row], expected[0], atol=1e-5)


def test_names_are_cut_in_refusals(prediction):
    for spec in (
        'name: "%s"',
        'name: "moma" version_label: "%s"',
        'name: "moma" signature_name: "%s"',
    ):
        _, details = refused(prediction.Predict, request(spec=spec % ("x" * 100_000)))
        assert "x" * 97 + "..." in details
        assert len(details) < 200
    many = {f"{number:0>200}": INPUTS["length"] for number in range(1000)}
    code, details = refused(prediction.Predict, request(many))
    assert code == "INVALID_ARGUMENT"
    assert len(details) <= 1000


def test_other_methods_are_unimplemented(prediction):
    from tensorflow_serving.apis import classification_pb2

    message = classification_pb2.ClassificationRequest()
    assert refused(prediction.Classify, message)[0] == "UNIMPLEMENTED"


def test_metadata_are_the_signatures(prediction):
    message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    message.model_spec.name = "moma"
    answer = prediction.GetModelMetadata(message)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    answer.metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def) == {
        "serving_default",
        "wav_bytes",
        "features",
        "explain",
        "front_end",
        "__saved_model_init_op",
    }
    for fields in ([], ["other"]):
        del message.metadata_field[:]
        message.metadata_field.extend(fields)
        assert refused(prediction.GetModelMetadata, message)[0] == "INVALID_ARGUMENT"


def test_status_health_and_reload(models, channel, server, moma):
    message = get_model_status_pb2.GetModelStatusRequest()
    message.model_spec.name = "moma"
    (status,) = models.GetModelStatus(message).model_version_status
    assert (status.version, status.state) == (1, 30)
    message.model_spec.name = "none"
    assert refused(models.GetModelStatus, message) == (
        "NOT_FOUND",
        "Could not find any versions of model none",
    )
    health = health_pb2_grpc.HealthStub(channel)
    for name in ("", "ModelService", "PredictionService"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    reload = model_management_pb2.ReloadConfigRequest()
    label = 'version_labels { key: "stable" value: 1 }'
    text = f'config {{ name: "moma" base_path: "{moma[1]}" model_platform: "tensorflow" {label} }}'
    text_format.Parse(text, reload.config.model_config_list)
    models.HandleReloadConfigRequest(reload)
    reload.config.model_config_list.config[0].base_path = "/nowhere"
    assert refused(models.HandleReloadConfigRequest, reload)[0] == "INVALID_ARGUMENT"
    (status,) = server.manager.states("moma").values()
    assert status.state == 30


# === REST ===


def rest(server, path, body=None, method=None):
    url = f"http://localhost:{server.rest_port}{path}"
    data = body if isinstance(body, bytes | type(None)) else json.dumps(body).encode()
    http_request = urllib.request.Request(url, data, method=method)
    try:
        with urllib.request.urlopen(http_request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_rows_and_columns(server):
    wave = INPUTS["waveform"].tolist()
    _, text = rest(
        server, "/v1/models/moma:predict", {"inputs": {"waveform": wave, "length": [500]}}
    )
    columns = json.loads(text)["outputs"]
    row = {"waveform": wave[0], "length": 500}
    status, text = rest(server, "/v1/MODELS/moma/versions/1:predict", {"instances": [row, row]})
    assert status == 200
    rows = json.loads(text)["predictions"]
    assert len(rows) == 2
    assert rows[1]["label"] == columns["label"][0]
    assert rows[1]["probabilities"] == pytest.approx(columns["probabilities"][0], abs=1e-6)


def test_bytes_are_base64(server):
    import base64

    wav = tf.audio.encode_wav(INPUTS["waveform"][0][:, None], 16000).numpy()
    encoded = {"b64": base64.b64encode(wav).decode()}
    rows = [{"wav": encoded}, {"wav": encoded}]
    body = {"signature_name": "wav_bytes", "instances": rows}
    status, text = rest(server, "/v1/models/moma/labels/stable:predict", body)
    assert status == 200, text
    body["instances"] = [encoded]
    status, text_alone = rest(server, "/v1/models/moma:predict", body)
    assert status == 200, text_alone
    alone, together = (json.loads(json_text)["predictions"][0] for json_text in (text_alone, text))
    assert alone.keys() == together.keys()
    for name, values in alone.items():
        if name in ("label", "classes"):
            assert values == together[name]
        else:
            np.testing.assert_allclose(values, together[name], atol=1e-5)


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("/v1/models/none:predict", {"instances": [1]}, 404, "Servable not found"),
        ("/v1/models/moma/versions/9:predict", {"instances": [1]}, 404, "Specific(moma, 9)"),
        ("/v1/models/moma/labels/x:predict", {"instances": [1]}, 400, "version label: x"),
        ("/v1/models/none", None, 404, "Could not find any versions of model none"),
        ("/v1/models/moma:explain", {}, 400, "Malformed request: POST /v1/models/moma:explain"),
        ("/v1/models/moma:classify", {}, 501, "classify"),
        ("/v2", None, 404, "Not Found"),
        ("/v1/models/moma:predict", b"{", 400, "JSON Parse error"),
        ("/v1/models/moma:predict", b"[" * 5000, 400, "JSON Parse error"),
        ("/v1/models/moma:predict", [], 400, "not an object"),
        ("/v1/models/moma:predict", {}, 400, "Expected one of 'instances' and 'inputs'"),
        ("/v1/models/moma:predict", {"instances": []}, 400, "one entry or more"),
        ("/v1/models/moma:predict", {"instances": [1]}, 400, "length, waveform"),
        ("/v1/models/moma:predict", {"inputs": {"x": 1}}, 400, "Unknown input 'x'"),
        (
            "/v1/models/moma:predict",
            {"inputs": {"waveform": [[1], [1, 2]], "length": [1]}},
            400,
            "input waveform: not a tensor of float32",
        ),
        (
            "/v1/models/moma:predict",
            {"signature_name": "x", "instances": [1]},
            400,
            'Serving signature name: "x" not found in signature def',
        ),
        (
            "/v1/models/moma:predict",
            {"inputs": {"waveform": [[0.1]], "length": [2]}},
            400,
            "length exceeds",
        ),
    ],
)
def test_refusals_of_rest(server, path, body, status, error):
    found_status, text = rest(server, path, body)
    assert found_status == status
    assert error in json.loads(text)["error"]


def test_status_metadata_and_metrics(server):
    status, text = rest(server, "/v1/models/moma")
    assert json.loads(text)["model_version_status"][0]["state"] == "AVAILABLE"
    _, text = rest(server, "/v1/models/moma/metadata")
    signatures = json.loads(text)["metadata"]["signature_def"]["signature_def"]
    assert "waveform" in signatures["serving_default"]["inputs"]
    status, text = rest(server, "/monitoring/prometheus/metrics")
    assert status == 200
    assert b':request_count{model_name="moma",entrypoint="rest_get",status="OK"}' in text


@given(body=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
@settings(max_examples=100)
def test_any_body_is_answered_and_never_an_internal_error(server, body):
    status, _ = rest(server, "/v1/models/moma:predict", body)
    assert status in (200, 400)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    values=st.dictionaries(st.sampled_from(["waveform", "length", "x"]), JSON),
    where=st.sampled_from(["inputs", "instances"]),
    signature=st.sampled_from(["serving_default", "wav_bytes", "features", "front_end"]),
)
@settings(max_examples=100)
def test_any_values_are_answered_and_never_an_internal_error(server, values, where, signature):
    body = {where: values if where == "inputs" else [values], "signature_name": signature}
    status, text = rest(server, "/v1/models/moma:predict", json.dumps(body).encode())
    assert status in (200, 400), text


@given(data=st.binary(max_size=100))
@settings(max_examples=100)
def test_any_bytes_over_grpc_get_a_status_of_the_clients_fault(server, channel, data):
    call = channel.unary_unary(
        "/tensorflow.serving.PredictionService/Predict",
        request_serializer=lambda message: message,
        response_deserializer=lambda message: message,
    )
    valid = request().SerializeToString()
    for message in (data, valid + data):
        code = call.future(message, timeout=20).code()
        assert code.name in ("OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION")
