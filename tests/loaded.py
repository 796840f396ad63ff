"""What a command has imported by the time it ends."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable

from tests.architecture import ROOT

# What takes a tenth of a second or more to import.
HEAVY = (
    *("tensorflow", "keras", "apache_beam", "jax", "librosa", "matplotlib", "sklearn"),
    *("scipy", "pandas", "grpc", "numpy"),
    "ser_keras.config",  # builds its schema with pydantic
)


def loaded_after(code: str, heavy: Iterable[str] = HEAVY) -> set[str]:
    """Runs code in a fresh interpreter and returns the heavy packages it has loaded."""
    report = f"import json, sys; print(json.dumps([m for m in {[*heavy]} if m in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def loaded_by(*arguments: object, fails: bool = False) -> set[str]:
    """Runs `ser` with these arguments and returns the heavy packages that it has loaded."""
    words = ["ser", *map(str, arguments)]
    return loaded_after(
        "import sys\nfrom ser_keras.cli.app import main\n"
        f"sys.argv = {words!r}\n"
        "code = None\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code\n"
        f"assert bool(code) is {fails}, code"
    )
