"""What an installer is told on a Python for which there is no TensorFlow 2.16."""

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETUP = """
import runpy, setuptools, sys
sys.version_info = {version} + ("final", 0)
sys.argv = ["setup.py", "--name"]
runpy.run_path("setup.py")
"""


def setup(version):
    return subprocess.run(
        [sys.executable, "-c", SETUP.format(version=version)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 13, 0), (3, 14, 1), (4, 0, 0)])
def test_an_unsupported_python_is_named_before_any_requirement(version):
    ran = setup(version)
    assert ran.returncode != 0
    numbers = ".".join(map(str, version[:2]))
    assert f"found Python {numbers}, expected 3.11 or 3.12" in ran.stderr


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 12, 7)])
def test_a_supported_python_sets_up(version):
    ran = setup(version)
    assert (ran.returncode, ran.stdout.split()[-1]) == (0, "ser-keras"), ran.stderr


def test_installers_that_read_metadata_are_told_the_same():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert config["options"]["python_requires"] == ">=3.11,<3.13"
