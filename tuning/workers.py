"""Searches spread over processes and machines: a chief chooses trials, workers run them.

keras-tuner has both; this module starts them, starts them again under their own names when they
die, and ends them when their time is over. A worker that was killed goes on with its trial where it
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

from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, SerError
from ser_keras.protocols import Protocol
from tuning.search import FoldTuner, Search, run_tuner
from tuning.trial import finished_records

CHIEF = "chief"
# A member that dies so often without any trial having ended meanwhile will not live.
MOST_DEATHS = 5

_POLL_S = 0.3
# What ends the search, for it would end every trial: the exit code of a member that says so.
_HOPELESS = 70


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
    protocol: Protocol,
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
        protocol: the folds.
        output: Path. Of the search, which must have begun.
        workers: int. How many.
        deadline_s: float. After so many seconds all are ended; the command given again goes on.
        progress: called with the number of trials that have ended and the best UA of them.

    Raises:
        SerError: a member ended the search, or does not stay alive; its log is named.
    """
    if workers < 1:
        raise ConfigError(f"--workers {workers}; expected 1 or more.")
    began, address = time.monotonic(), f"localhost:{_free_port()}"
    members = [Member(address, name) for name in (CHIEF, *_names(workers))]
    running, deaths, ended = {}, dict.fromkeys(members, 0), -1

    def start(member: Member) -> BaseProcess:
        # Threads of TensorFlow do not outlive a fork.
        context = multiprocessing.get_context("spawn")
        log = output / "workers" / f"{member.name}.log"
        given = (member, search, features, protocol, output, log)
        process = context.Process(target=_member, args=given, name=member.name, daemon=True)
        process.start()
        return process

    try:
        for member in members:
            running[member] = start(member)
        while any(member.name != CHIEF for member in running):
            time.sleep(_POLL_S)
            records = finished_records(output / "trials")
            if len(records) != ended:
                ended, deaths = len(records), dict.fromkeys(members, 0)
                progress(ended, max((record["ua"] for record in records), default=0.0))
            for member, process in list(running.items()):
                if process.is_alive():
                    continue
                if process.exitcode == 0:
                    del running[member]
                    continue
                log = output / "workers" / f"{member.name}.log"
                deaths[member] += 1
                if process.exitcode == _HOPELESS or deaths[member] == MOST_DEATHS:
                    raise SerError(f"{member.name} ended: {_last_words(log)} See {log}.")
                running[member] = start(member)
            if deadline_s is not None and time.monotonic() - began > deadline_s:
                return
    finally:
        # The chief alone would wait 20 s more for workers that may still come.
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.join()


def _names(workers: int) -> list[str]:
    return [f"worker-{number}" for number in range(1, workers + 1)]


def _member(
    member: Member, search: Search, features: Path, protocol: Protocol, output: Path, log: Path
) -> None:
    """What a process of `run_workers` does."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a", buffering=1, encoding="utf-8") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
        try:
            member.run(search, FeatureSet.open(features), protocol, output)
        except SerError as error:
            file.write(f"{error}\n")
            file.flush()
            os._exit(_HOPELESS)


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing.")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        port: int = found.getsockname()[1]
        return port
