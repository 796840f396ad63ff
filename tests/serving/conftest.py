"""Servers and exports that several tests share."""

import pytest

from tests.serving import adapted, exports
from tests.serving.server.certificates import write_ssl_config


@pytest.fixture(scope="session")
def moma(tmp_path_factory):
    """(what is exported, folder of the model with version 1)."""
    served = exports.small("moma")
    folder = tmp_path_factory.mktemp("models") / "moma"
    exports.publish(served, folder)
    return served, folder


@pytest.fixture(scope="session")
def server(moma):
    """A server with the model `moma`, versions and labels."""
    from serving.server.config_files import ModelEntry
    from serving.server.server import Server, ServerOptions

    configs = [ModelEntry("moma", moma[1], labels={"stable": 1})]
    running = Server(configs, ServerOptions(port=0, rest_port=0, max_message_bytes=2**21))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def closed(moma, tmp_path_factory):
    """The endpoint of a server of `moma` that requires a client's certificate."""
    from serving.client.endpoint import Endpoint
    from serving.server.config_files import ModelEntry, read_ssl
    from serving.server.server import Server, ServerOptions

    config, known = write_ssl_config(tmp_path_factory.mktemp("certificates"))
    options = ServerOptions(port=0, rest_port=0, ssl=read_ssl(config))
    running = Server([ModelEntry("moma", moma[1])], options)
    running.start()
    yield Endpoint(f"localhost:{running.port}", **known)
    running.stop()


@pytest.fixture(scope="session")
def adapted_server(tmp_path_factory):
    """(what is exported, a server of it as `adapted`): a small model with an adapted track."""
    from serving.server.config_files import ModelEntry
    from serving.server.server import Server, ServerOptions

    served = adapted.small()
    folder = tmp_path_factory.mktemp("models") / "adapted"
    exports.publish(served, folder)
    running = Server([ModelEntry("adapted", folder)], ServerOptions(port=0, rest_port=0))
    running.start()
    yield served, running
    running.stop()
