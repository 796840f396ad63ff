"""A Flink cluster on this machine: a job manager, a task manager with two slots, Python workers.

The ports are free ones. Logs lie in the cluster's folder, which every failure names. All processes
end with the block, and with the process that started them, however that ends.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from tests.flink_jars import FlinkJars

START_S = 120.0
SLOTS = 2

_OPENS = [
    *(f"java.base/java.{name}" for name in ("lang", "net", "io", "nio", "text", "time", "util")),
    *(f"java.base/{name}" for name in ("java.lang.reflect", "java.util.concurrent", "sun.nio.ch")),
]
_JAVA = [*(f"--add-opens={name}=ALL-UNNAMED" for name in _OPENS), "-XX:+UseSerialGC"]
# Kills the process with ours. By a command, since gRPC cannot bear code between fork and exec.
_BOUND = ["setpriv", "--pdeathsig=KILL"] if shutil.which("setpriv") else []
_JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
_LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
appender.console.name = console
appender.console.type = Console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %-5p %c - %m%n
"""


class FlinkCluster:
    """A context manager around one cluster.

    Args:
        jars: what to run.
        folder: Path. Gets configuration, logs and whatever the cluster writes.
    """

    def __init__(self, jars: FlinkJars, folder: Path):
        self.jars = jars
        self.folder = folder
        self.address = f"127.0.0.1:{_free_port()}"
        self.workers = f"127.0.0.1:{_free_port()}"
        self._processes: dict[str, subprocess.Popen] = {}
        self._task_managers = 0

    @property
    def beam_args(self) -> list[str]:
        """What to give to Beam, as a user would for any Flink cluster."""
        return [
            "--runner=FlinkRunner",
            f"--flink_master={self.address}",
            "--flink_submit_uber_jar",
            f"--flink_job_server_jar={self.jars.runner}",
            "--environment_type=EXTERNAL",
            f"--environment_config={self.workers}",
            f"--parallelism={SLOTS}",
        ]

    def __enter__(self) -> "FlinkCluster":
        self.folder.mkdir(parents=True, exist_ok=True)
        config = "".join(f"{key}: {value}\n" for key, value in self._configuration().items())
        (self.folder / "config.yaml").write_text(config)
        (self.folder / "log4j.properties").write_text(_LOG4J)
        try:
            self._start_java("jobmanager", _JOB_MANAGER, "-Xmx384m", "-XX:MaxMetaspaceSize=256m")
            self._start_workers()
            self.start_task_manager()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        # Python workers end when the task manager does.
        for name in ("taskmanager", "workers", "jobmanager"):
            if name in self._processes:
                self._kill(name)

    def start_task_manager(self) -> None:
        """Starts the task manager and waits until the cluster has its slots."""
        self._task_managers += 1
        # The same sizes as in the configuration: nobody else would hold the process to them.
        self._start_java(
            "taskmanager",
            _TASK_MANAGER,
            *("-Xmx512m", "-XX:MaxDirectMemorySize=256m", "-XX:MaxMetaspaceSize=256m"),
            options=[f"-Dtaskmanager.resource-id={self._task_managers}"],
        )
        self.wait_for(self._has_slots, "its slots")

    def kill_task_manager(self) -> None:
        """Kills the task manager as a machine would that loses its power."""
        self._kill("taskmanager")

    def rest(self, path: str) -> dict[str, Any]:
        """Returns what Flink's REST interface says."""
        with urlopen(f"http://{self.address}{path}", timeout=10) as answer:
            return json.load(answer)

    def wait_for(self, condition: Callable[[], Any], what: str, seconds: float = START_S) -> Any:
        """Returns the condition's first true value.

        Raises:
            RuntimeError: a process of the cluster has died, or time is up.
        """
        end = time.monotonic() + seconds
        while not (value := condition()):
            dead = [name for name, process in self._processes.items() if process.poll() is not None]
            if dead or time.monotonic() > end:
                why = f"{', '.join(dead)} ended" if dead else f"not there after {seconds:.0f} s"
                raise RuntimeError(f"waiting for {what}: {why}; logs are in {self.folder}")
            time.sleep(0.1)
        return value

    def _has_slots(self) -> bool:
        try:
            managers = self.rest("/taskmanagers")["taskmanagers"]
            # A dead one stays in the list for a while.
            free = {manager["id"]: manager["freeSlots"] for manager in managers}
            return free == {str(self._task_managers): SLOTS}
        except URLError:
            # It does not listen yet, or has not yet elected itself.
            return False

    def _configuration(self) -> dict[str, Any]:
        memory = {
            **{"framework.heap.size": "128m", "framework.off-heap.size": "128m"},
            **{"task.heap.size": "384m", "task.off-heap.size": "0m", "managed.size": "256m"},
            **{"network.min": "64m", "network.max": "64m", "jvm-metaspace.size": "256m"},
            **{"jvm-overhead.min": "192m", "jvm-overhead.max": "192m"},
        }
        host, port = self.address.split(":")
        hosts = ("jobmanager.rpc.address", "jobmanager.bind-host", "rest.address")
        hosts += ("rest.bind-address", "taskmanager.host", "taskmanager.bind-host")
        return {
            **dict.fromkeys(hosts, host),
            "rest.port": port,
            "jobmanager.rpc.port": _free_port(),
            "io.tmp.dirs": self.folder,
            "web.upload.dir": self.folder,
            "blob.storage.directory": self.folder,
            "taskmanager.numberOfTaskSlots": SLOTS,
            "taskmanager.cpu.cores": float(SLOTS),
            **{f"taskmanager.memory.{name}": size for name, size in memory.items()},
            # A lost task manager is noticed in seconds, and its job fails at once.
            "heartbeat.interval": "1s",
            "heartbeat.timeout": "10s",
            "restart-strategy.type": "none",
            "slot.request.timeout": 60_000,
        }

    def _start_java(self, name: str, main: str, *memory: str, options: Sequence[str] = ()) -> None:
        java = ["java", *_JAVA, *memory, f"-Djava.io.tmpdir={self.folder}"]
        java += [f"-Dlog4j.configurationFile={self.folder / 'log4j.properties'}"]
        classpath = os.pathsep.join(map(str, self.jars.classpath))
        self._start(
            name, [*java, "-cp", classpath, main, "--configDir", str(self.folder), *options]
        )

    def _start_workers(self) -> None:
        port = self.workers.split(":")[1]
        module = "apache_beam.runners.worker.worker_pool_main"
        self._start("workers", [sys.executable, "-m", module, f"--service_port={port}"])
        self.wait_for(lambda: _answers(int(port)), "the pool of Python workers")

    def _start(self, name: str, command: list[str]) -> None:
        # The pool starts its workers as `python`, which has to be this one.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [*_BOUND, *command],
                cwd=self.folder,
                env={**os.environ, "PATH": path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _kill(self, name: str) -> None:
        process = self._processes.pop(name)
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
