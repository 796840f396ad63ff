import sys

import pytest

from ser_keras.experiments import provenance


@pytest.mark.parametrize("started", ["/venv/bin/ser", "/lib/ser_keras/__main__.py"])
def test_a_command_is_told_as_a_person_would_type_it(started, monkeypatch):
    monkeypatch.setattr(sys, "argv", [started, "tune", "--set", "a b=1"])
    assert provenance.command() == "ser tune --set 'a b=1'"
