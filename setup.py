"""Says which Python this needs, before an installer asks for a TensorFlow that it lacks.

With extras, pip looks for the requirements before it compares `python_requires` of setup.cfg.
"""

import sys

from setuptools import setup

if not (3, 11) <= sys.version_info[:2] <= (3, 12):
    version = ".".join(map(str, sys.version_info[:2]))
    sys.exit(
        "ser-keras: found Python " + version + ", expected 3.11 or 3.12, for which there is "
        "TensorFlow 2.16. Install one of them and name it: make venv PYTHON=/path/to/python3.11"
    )

setup()
