"""The health check of the production container, run by bash against the development server."""

import shutil
import subprocess

import pytest
import yaml

from tests.architecture import ROOT

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


def check(port, model="moma"):
    """Runs the check as the container does, on another port; returns its exit code."""
    compose = yaml.safe_load((ROOT / "serving/deploy/compose.yaml").read_text())
    _, *command = compose["services"]["serving"]["healthcheck"]["test"]
    command[-1] = command[-1].replace("8501", str(port)).replace("moma", model)
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode


def test_a_model_that_answers_is_healthy(server):
    assert check(server.rest_port) == 0


def test_a_missing_model_and_a_closed_port_are_not(server):
    assert check(server.rest_port, "other") != 0
    assert check(9) != 0
