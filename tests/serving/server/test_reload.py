"""A configuration over gRPC is taken and refused as TensorFlow Serving does."""

import shutil

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

from serving.server.config_files import ModelEntry
from serving.server.manager import AVAILABLE, END
from serving.server.server import Server, ServerOptions
from tests.serving.double import write_double


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The folder of a model with version 1."""
    return write_double(tmp_path_factory.mktemp("models") / "double" / "1").parent


@pytest.fixture(params=[False, True], ids=["", "labels in advance"])
def server(base, request):
    options = ServerOptions(port=0, rest_port=None, labels_in_advance=request.param)
    running = Server([ModelEntry("double", base)], options)
    running.start()
    yield running
    running.stop()


def config(base, name="double", more='model_platform: "tensorflow"'):
    return f'config {{ name: "{name}" base_path: "{base}" {more} }}'


def label(version, name="stable"):
    return f'model_platform: "tensorflow" version_labels {{ key: "{name}" value: {version} }}'


def reload(server, *configs):
    """(code, details) of the answer; ("OK", "") if the configuration is taken."""
    request = model_management_pb2.ReloadConfigRequest()
    text_format.Parse(" ".join(configs), request.config.model_config_list)
    return send(server, request)


def send(server, request):
    with grpc.insecure_channel(f"localhost:{server.port}") as channel:
        try:
            model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(request)
        except grpc.RpcError as error:
            return error.code().name, error.details()
    return "OK", ""


def states(server, name="double"):
    return {number: known.state for number, known in server.manager.states(name).items()}


def test_no_configuration_and_one_of_another_kind_are_refused(server):
    request = model_management_pb2.ReloadConfigRequest()
    refusal = "ServerModelConfig type not supported by HandleReloadConfigRequest."
    for _ in range(2):
        code, details = send(server, request)
        assert code == "INVALID_ARGUMENT"
        assert details.startswith(refusal)
        request.config.custom_model_config.type_url = "x/y"
    assert states(server) == {1: AVAILABLE}


def test_an_empty_list_unloads_all_models(server):
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.SetInParent()
    assert send(server, request) == ("OK", "")
    assert states(server) == {1: END}


def test_what_the_container_refuses_changes_nothing(server, base):
    for more, refusal in (
        ("", "model double: Illegal setting neither ModelServerConfig::model_type"),
        ('model_platform: "torch"', "model double: Model double requests unsupported platform"),
        ("model_type: OTHER", "model double: ModelServerConfig::model_type choice 2 not supported"),
    ):
        code, details = reload(server, config(base, more=more))
        assert (code, details[: len(refusal)]) == ("INVALID_ARGUMENT", refusal)
    code, details = reload(server, config("models/double"))
    assert (code, details) == (
        "INVALID_ARGUMENT",
        "Expected model double to have an absolute path or URI; got base_path()=models/double.",
    )
    code, details = reload(server, config(base), config(base))
    assert (code, details) == (
        "INVALID_ARGUMENT",
        "Illegal to list model double multiple times in config list.",
    )
    code, details = reload(server, config("/nowhere", "other"), config(base))
    assert (code, details) == (
        "INVALID_ARGUMENT",
        "Could not find base path /nowhere for servable other",
    )
    assert states(server) == {1: AVAILABLE}


def test_labels_name_versions_that_answer(server, base):
    assert reload(server, config(base, more=label(1))) == ("OK", "")
    answer = reload(server, config(base, more=label(5, "next")))
    refusal = (
        "FAILED_PRECONDITION",
        "Request to assign label to version 5 of model double, which is not currently available "
        "for inference",
    )
    assert answer == (("OK", "") if server.options.labels_in_advance else refusal)
    # A label that exists is never moved to a version that does not answer.
    reload(server, config(base, more=label(1)))
    assert reload(server, config(base, more=label(5))) == refusal
    with server.manager.lend("double", label="stable") as (_, version):
        assert version == 1


def test_a_new_model_that_cannot_answer_is_told_and_others_go_on(server, base, tmp_path):
    shutil.copytree(base, tmp_path / "damaged")
    (tmp_path / "damaged" / "1" / "saved_model.pb").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    damaged, empty = (config(tmp_path / name, name) for name in ("damaged", "empty"))
    code, details = reload(server, config(base), damaged, empty)
    assert code == "UNKNOWN"
    assert details.startswith("2 model(s) did not become available: {name: damaged} due to error: ")
    assert details.endswith("{name: empty} due to error: empty has no version.")
    assert states(server) == {1: AVAILABLE}


def test_a_model_whose_folder_is_away_stays_in_the_configuration(server, base, tmp_path):
    shutil.copytree(base, tmp_path / "other")
    other = config(tmp_path / "other", "other")
    assert reload(server, config(base), other) == ("OK", "")
    (tmp_path / "other").rename(tmp_path / "away")
    assert reload(server, config(base), other) == ("OK", "")
    assert states(server, "other") == {1: AVAILABLE}
