"""A Dask cluster on this machine: a scheduler and two workers, each a process of its own."""

import json
import subprocess
import sys
import time
from pathlib import Path

START_S = 90.0
WORKERS = 2


class DaskCluster:
    """A context manager around one cluster.

    Args:
        folder: Path. Gets logs, and what the workers write beside the job.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.workers: list[subprocess.Popen] = []

    def __enter__(self) -> "DaskCluster":
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler",
            "--host=127.0.0.1",
            "--port=0",
            "--no-dashboard",
            f"--scheduler-file={file}",
        )
        try:
            self._wait_for(file)
            self.address = json.loads(file.read_text())["address"]
            for _ in range(WORKERS):
                self.start_worker()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    @property
    def beam_args(self) -> list[str]:
        """What to give to Beam, as a user would for any Dask cluster."""
        return ["--runner=DaskRunner", f"--dask_client_address={self.address}"]

    def start_worker(self) -> None:
        """Starts a worker that ends when it loses the scheduler."""
        self.workers.append(
            self._start(
                "worker",
                self.address,
                *("--no-nanny", "--nthreads=1", "--no-dashboard", "--death-timeout=60"),
                f"--local-directory={self.folder}",
            )
        )

    def kill_worker(self) -> None:
        """Kills a worker as a machine would that loses its power."""
        self.workers[0].kill()

    def kill_scheduler(self) -> None:
        """Kills the scheduler in the same way."""
        self.scheduler.kill()

    def _start(self, kind: str, *arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments]
        with (self.folder / f"{kind}.log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _wait_for(self, file: Path) -> None:
        end = time.monotonic() + START_S
        while not file.exists() or not file.read_text().strip():
            if self.scheduler.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the scheduler did not start; its log is in {self.folder}")
            time.sleep(0.1)
