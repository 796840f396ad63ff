"""Searches spread over processes and machines: a chief chooses trials, workers run them.

keras-tuner has both; this module starts them, starts them again under their own names when they
die, and ends them when their time is over. A worker that was killed continues its trial where it
was; a chief reads its state from disk, while the workers wait for it.
"""

import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, SerError
from ser_keras.experiments.searched_folds import PROTOCOL
from ser_keras.protocols import Protocol
from tuning.search import FoldTuner, Search, run_tuner
from tuning.trial import finished_records

CHIEF = "chief"
# A member that dies so often without any trial having ended meanwhile will not live.
MOST_DEATHS = 5

_POLL_S = 0.3
# What ends the search, for it would end every trial: the exit code of a member that says so.
_EXIT_NOT_RETRIED = 70


@dataclass(frozen=True)
class Member:
    """One process of a search.

    Args:
        chief: str. `host:port` where the chief listens.
        name: str. `CHIEF`, or a worker's own.
    """

    chief: str
    name: str

    def __post_init__(self) -> None:
        host, _, port = self.chief.rpartition(":")
        if not host or not port.isdecimal():
            raise ConfigError(f"--chief {self.chief}: expected host:port, such as 10.0.0.7:9000.")
        if CHIEF in self.name and self.name != CHIEF:
            raise ConfigError(
                f"--worker-id {self.name}: no worker may have {CHIEF!r} in its name, by which "
                "keras-tuner knows the chief."
            )

    def run(
        self, search: Search, feature_set: FeatureSet, protocol: Protocol, output: Path
    ) -> None:
        """Takes part in a search until it is over.

        Raises:
            SerError: what ended a trial, where it would end the others, too.
        """
        host, _, port = self.chief.rpartition(":")
        os.environ["KERASTUNER_TUNER_ID"] = self.name
        os.environ["KERASTUNER_ORACLE_IP"] = host
        os.environ["KERASTUNER_ORACLE_PORT"] = port
        run_tuner(FoldTuner(search, feature_set, protocol, output, prunes=False))


def run_workers(
    search: Search,
    features: Path,
    output: Path,
    *,
    workers: int,
    deadline_s: float | None = None,
    progress: Callable[[int, float], None] = lambda ended, best: None,
) -> None:
    """Runs a search with a chief and workers on this machine, and keeps them alive.

    What they print is in `workers/NAME.log`.

    Args:
        search: what is searched.
        features: Path. Folder of the features.
        output: Path. Of the search, which must have begun: it holds the protocol.
        workers: int. How many.
        deadline_s: float. After so many seconds all are ended; the same command continues.
        progress: called with the number of trials that have ended and the best UA of them.

    Raises:
        SerError: a member ended the search, or does not stay alive; its log is named.
    """
    if workers < 1:
        raise ConfigError(f"--workers {workers}; expected 1 or more.")
    began, seen = time.monotonic(), -1
    crew = _Crew(workers, output, (search, features, output))
    try:
        while crew.works():
            time.sleep(_POLL_S)
            records = finished_records(output / "trials")
            if len(records) != seen:
                seen = len(records)
                crew.forgive()
                progress(seen, max((record["ua"] for record in records), default=0.0))
            crew.restart_dead()
            if deadline_s is not None and time.monotonic() - began > deadline_s:
                return
    finally:
        crew.end()


class _Crew:
    """A chief and workers, each in a process of its own.

    Args:
        workers: int. How many.
        output: Path. Of the search; what they print is under it.
        task: tuple. What each of them gets to do, see `_member`.
    """

    def __init__(self, workers: int, output: Path, task: tuple[Any, ...]):
        address = f"localhost:{_free_port()}"
        names = [CHIEF, *(f"worker-{number}" for number in range(1, workers + 1))]
        self.logs = {Member(address, name): output / "workers" / f"{name}.log" for name in names}
        self.task = task
        self.deaths = dict.fromkeys(self.logs, 0)
        self.running = {member: self._started(member) for member in self.logs}

    def works(self) -> bool:
        """Whether a worker is left; a chief alone only waits for workers to join."""
        return any(member.name != CHIEF for member in self.running)

    def forgive(self) -> None:
        """Resets the count of deaths."""
        self.deaths = dict.fromkeys(self.logs, 0)

    def restart_dead(self) -> None:
        """Starts the dead again under their own names.

        Raises:
            SerError: a process met an error that awaits all trials, or died `MOST_DEATHS` times.
        """
        for member, process in list(self.running.items()):
            if process.is_alive():
                continue
            if process.exitcode == 0:
                del self.running[member]
                continue
            self.deaths[member] += 1
            if process.exitcode == _EXIT_NOT_RETRIED or self.deaths[member] == MOST_DEATHS:
                log = self.logs[member]
                raise SerError(f"{member.name} ended: {_last_line(log)} See {log}.")
            self.running[member] = self._started(member)

    def end(self) -> None:
        """Ends all running processes."""
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            process.join()

    def _started(self, member: Member) -> BaseProcess:
        # Threads of TensorFlow do not outlive a fork.
        process = multiprocessing.get_context("spawn").Process(
            target=_member,
            args=(member, self.logs[member], *self.task),
            name=member.name,
            daemon=True,
        )
        process.start()
        return process


def _member(member: Member, log: Path, search: Search, features: Path, output: Path) -> None:
    """What a process of a crew does."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a", buffering=1, encoding="utf-8") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
        try:
            protocol = Protocol.load(output / PROTOCOL)
            member.run(search, FeatureSet.open(features), protocol, output)
        except SerError as error:
            file.write(f"{error}\n")
            file.flush()
            os._exit(_EXIT_NOT_RETRIED)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty.")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        port: int = listener.getsockname()[1]
        return port
