"""The options of `ser serve`."""

import pytest

from serving.cli.serve import REST_PORT, _rest_port


@pytest.mark.parametrize(
    ("option", "encrypted", "port"),
    [
        (None, False, REST_PORT),
        (None, True, None),
        (0, False, None),
        (0, True, None),
        (9000, False, 9000),
        (9000, True, 9000),
    ],
)
def test_rest_is_off_with_0_and_with_tls_unless_asked_for(option, encrypted, port, capsys):
    assert _rest_port(option, encrypted=encrypted) == port
    printed = "".join(capsys.readouterr())
    assert ("not encrypted" in printed) == (encrypted and port is not None)
    assert "[yellow]" not in printed
