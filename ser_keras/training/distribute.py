"""Training in one process, on all devices of one machine, or in one process on each of several.

A training step computes the same in all three cases, see `ser_keras.training.replicas`. This module
does the rest: it joins the processes, sends data from the first of them, the chief, to the others,
and ends a training that has lost a worker. Only the chief writes the run. The others do the same
work in a temporary folder, which begins with the files that the chief had stored before a kill.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ser_keras.config import TrainConfig
from ser_keras.errors import ConfigError, SerError, unknown_name
from ser_keras.files import write_bytes

STRATEGIES = ("none", "mirrored", "multiworker")
EXAMPLE = (
    'TF_CONFIG=\'{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, '
    '"task": {"type": "worker", "index": 0}}\''
)
# Errors of TensorFlow in a worker that can no longer reach another.
_LOST_WORKER = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnavailableError,
)


@dataclass(frozen=True)
class Workers:
    """The processes that train together, from the view of one of them.

    Args:
        strategy: tf.distribute.Strategy, or None for one device of one process.
        index: int. Number of this process; 0 is the chief.
        count: int. How many there are.
    """

    strategy: Any = None
    index: int = 0
    count: int = 1

    @property
    def chief(self) -> bool:
        """Whether this process writes the run."""
        return self.index == 0

    def scope(self) -> AbstractContextManager[Any]:
        """Returns the context in which variables are made."""
        return self.strategy.scope() if self.strategy else nullcontext()

    def from_chief(self, data: bytes) -> bytes:
        """Returns the chief's `data` in every process, after all processes have called this."""
        if self.count == 1:
            return data
        size = int(self._broadcast(np.array([len(data)]))[0])
        if not size:  # TensorFlow 2.16 crashes on an empty collective.
            return b""
        # Collectives carry no bytes either.
        words = np.zeros(-(-size // 4), np.int32)
        if self.chief:
            words.view(np.uint8)[:size] = np.frombuffer(data, np.uint8)
        return self._broadcast(words).tobytes()[:size]

    def _broadcast(self, values: np.ndarray) -> np.ndarray:
        received = self.strategy.run(_of_first_replica, args=(tf.constant(values),))
        return self.strategy.experimental_local_results(received)[0].numpy()

    def agreed(self, logs: Mapping[str, float]) -> dict[str, float]:
        """Returns the chief's logs, so that all workers base the same decisions on them."""
        return json.loads(self.from_chief(json.dumps(logs).encode()))

    def check_same(self, facts: Mapping[str, str]) -> None:
        """Raises ConfigError in a worker whose facts differ from the chief's."""
        of_chief = json.loads(self.from_chief(json.dumps(facts).encode()))
        for name, expected in of_chief.items():
            if facts[name] != expected:
                raise ConfigError(
                    f"worker {self.index}: {name} is {facts[name]}, that of worker 0 is "
                    f"{expected}. Start all workers with the same command on the same features."
                )

    def share_files(self, paths: Iterable[Path]) -> None:
        """Copies the chief's files, if they exist, to all other workers."""
        if self.count == 1:
            return
        for path in paths:
            data = self.from_chief(path.read_bytes() if self.chief and path.exists() else b"")
            if data and not self.chief:
                write_bytes(path, data)


@tf.function(reduce_retracing=True)
def _of_first_replica(values: tf.Tensor) -> tf.Tensor:
    context = tf.distribute.get_replica_context()
    summand = values if context.replica_id_in_sync_group == 0 else tf.zeros_like(values)
    return context.all_reduce(tf.distribute.ReduceOp.SUM, summand)


ALONE = Workers()


def check_strategy(name: str, config: TrainConfig) -> None:
    """Raises ConfigError for an unknown strategy, or one that cannot train this configuration."""
    if name not in STRATEGIES:
        raise ConfigError(f"--strategy: {unknown_name('strategy', name, STRATEGIES)}")
    backend = keras.backend.backend()
    unsupported = {
        "jit_compile=true; pass --set jit_compile=false": config.jit_compile,
        "precision=mixed_float16; pass --set precision=mixed_bfloat16": (
            config.precision == "mixed_float16"
        ),
        f"KERAS_BACKEND={backend}; set it to tensorflow": backend != "tensorflow",
    }
    for setting, is_set in unsupported.items():
        if is_set and name != "none":
            raise ConfigError(f"--strategy {name}: does not work with {setting}.")


@contextmanager
def joined(
    name: str, output: Path, report: Callable[[str], None] = lambda message: None
) -> Iterator[tuple[Workers, Path]]:
    """Joins the processes that train together; yields (workers, the folder to write to).

    TensorFlow must not have been used before. Every process waits until all have joined.

    Args:
        name: str. One of `STRATEGIES`, checked by `check_strategy`.
        output: Path. Folder of the run, which only the chief writes.
        report: called with messages about the other workers.

    Raises:
        ConfigError: TF_CONFIG names no worker.
        SerError: another worker is gone.
    """
    workers = _join(name, report)
    target = nullcontext(output) if workers.chief else TemporaryDirectory(prefix="ser-worker-")
    try:
        with target as folder:
            yield workers, Path(folder)
            # Every worker waits here until the chief has written everything.
            workers.from_chief(b"")
    except _LOST_WORKER as error:
        if workers.count == 1:
            raise
        raise SerError(
            f"worker {workers.index} of {workers.count}: another worker is gone, or fails "
            f"({type(error).__name__}). See its messages, and start all workers again: they go on "
            "after the last finished epoch."
        ) from error
    if not workers.chief:
        report(f"worker {workers.index} of {workers.count}: done; worker 0 has written the run")


def _join(name: str, report: Callable[[str], None]) -> Workers:
    if name == "none":
        return ALONE
    addresses, index = (
        cluster(os.environ.get("TF_CONFIG", "")) if name == "multiworker" else ([], 0)
    )
    if len(addresses) > 1:
        report(f"worker {index} of {len(addresses)}: waiting for {', '.join(addresses)}")
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        return Workers(strategy, index, len(addresses))
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) == 1:
        report(f"--strategy {name}: there is one device, so this is a training like any other")
        return ALONE
    return Workers(tf.distribute.MirroredStrategy([device.name for device in devices]))


def cluster(text: str) -> tuple[list[str], int]:
    """Returns the addresses of all workers, the chief's first, and the index of this one.

    Args:
        text: str. TF_CONFIG, as TensorFlow defines it.

    Raises:
        ConfigError: it is empty, no JSON, or names no worker. The message shows an example.

    Example:
        >>> task = {"type": "worker", "index": 1}
        >>> cluster(json.dumps({"cluster": {"worker": ["a:1", "b:1"]}, "task": task}))
        (['a:1', 'b:1'], 1)
    """
    try:
        config = json.loads(text)
        members, task = config["cluster"], config["task"]
        tasks = [
            (kind, index)
            for kind in ("chief", "worker")
            for index in range(len(members.get(kind, ())))
        ]
        addresses = [str(members[kind][index]) for kind, index in tasks]
        return addresses, tasks.index((task["type"], int(task["index"])))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        state = f"is {text!r}, which names no worker of a cluster" if text else "is not set"
        raise ConfigError(
            f"--strategy multiworker: TF_CONFIG {state}. Start the same command on every machine, "
            f"each with its own index: {EXAMPLE} ser train ..."
        ) from error
