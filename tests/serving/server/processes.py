"""`ser serve` in a process of its own, for tests that talk to it over the network alone."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from serving.client.client import SerClient
from tests.architecture import ROOT


class ServerProcess:
    """`ser serve` of one model or of a `models.config`.

    Args:
        base: folder of the model's versions, or the path of a `models.config`.
        options: further options of `ser serve`.
        model: name of the model, which `client` asks.
        log: path of a file for what it prints; None for nowhere.
    """

    def __init__(self, base: Path, *options, model: str = "moma", log: Path | None = None):
        self.base, self.options, self.model, self.log = base, options, model, log
        self.port, self.rest_port = free_port(), free_port()
        self.start()

    def start(self) -> None:
        if self.base.is_dir():
            models = ["--model_name", self.model, "--model_base_path", self.base]
        else:
            models = ["--model_config_file", self.base]
        command = [sys.executable, "-m", "ser_keras", "serve", *models, "--port", self.port]
        command += ["--rest_api_port", self.rest_port, *self.options]
        with open(self.log or os.devnull, "a") as printed:
            self.process = subprocess.Popen(
                [*map(str, command)], stdout=printed, stderr=printed if self.log else None, cwd=ROOT
            )

    def client(self, **options) -> SerClient:
        return SerClient(f"localhost:{self.port}", self.model, **options)

    def memory(self) -> int:
        """Returns the bytes that it has in memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """Returns the number of files and connections that it has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]
