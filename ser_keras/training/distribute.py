"""Who trains: one process, all devices of one machine, or a process on each of several machines.

What a training step computes is the same in all three, see `ser_keras.training.replicas`. Here is
the rest: which processes there are, what the first of them, the chief, tells the others, and what
becomes of a training that loses one. The chief alone writes the run; the others do the same work in
a folder that goes when they end, and find there what the chief had stored before a kill.
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
# What TensorFlow raises in a worker that can no longer reach another.
_LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnavailableError,
)


@dataclass(frozen=True)
class Workers:
    """The processes that train together, seen from one of them.

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
        """Returns the chief's `data` in every process; waits until all have come here."""
        if self.count == 1:
            return data
        size = int(self._chiefs(np.array([len(data)]))[0])
        if not size:  # TensorFlow 2.16 crashes on a collective that carries nothing
            return b""
        # Nor does it carry bytes.
        words = np.zeros(-(-size // 4), np.int32)
        if self.chief:
            words.view(np.uint8)[:size] = np.frombuffer(data, np.uint8)
        return self._chiefs(words).tobytes()[:size]

    def _chiefs(self, values: np.ndarray) -> np.ndarray:
        received = self.strategy.run(_of_first_replica, args=(tf.constant(values),))
        return self.strategy.experimental_local_results(received)[0].numpy()

    def agreed(self, logs: Mapping[str, float]) -> dict[str, float]:
        """Returns the chief's logs: what is decided by them must be decided alike by all."""
        return json.loads(self.from_chief(json.dumps(logs).encode()))

    def check_same(self, facts: Mapping[str, str]) -> None:
        """Raises ConfigError in a worker that was started with something else than the chief."""
        for what, chiefs in json.loads(self.from_chief(json.dumps(facts).encode())).items():
            if facts[what] != chiefs:
                raise ConfigError(
                    f"worker {self.index}: {what} is {facts[what]}, that of worker 0 is {chiefs}. "
                    "Start all workers with the same command on the same features."
                )

    def share_files(self, paths: Iterable[Path]) -> None:
        """Gives those of the chief's files that there are to all others."""
        if self.count == 1:
            return
        for path in paths:
            own = path.read_bytes() if self.chief and path.exists() else b""
            data = self.from_chief(own)
            if data and not self.chief:
                write_bytes(path, data)


@tf.function(reduce_retracing=True)
def _of_first_replica(values: tf.Tensor) -> tf.Tensor:
    context = tf.distribute.get_replica_context()
    own = values if context.replica_id_in_sync_group == 0 else tf.zeros_like(values)
    return context.all_reduce(tf.distribute.ReduceOp.SUM, own)


ALONE = Workers()


def check_strategy(name: str, config: TrainConfig) -> None:
    """Raises ConfigError where a strategy is unknown or cannot train this configuration."""
    if name not in STRATEGIES:
        raise ConfigError(f"--strategy: {unknown_name('strategy', name, STRATEGIES)}")
    backend = keras.backend.backend()
    refused = {
        "jit_compile=true; pass --set jit_compile=false": config.jit_compile,
        "precision=mixed_float16; pass --set precision=mixed_bfloat16": (
            config.precision == "mixed_float16"
        ),
        f"KERAS_BACKEND={backend}; set it to tensorflow": backend != "tensorflow",
    }
    for what, found in refused.items():
        if found and name != "none":
            raise ConfigError(f"--strategy {name}: does not work with {what}.")


@contextmanager
def joined(
    name: str, output: Path, say: Callable[[str], None] = lambda text: None
) -> Iterator[tuple[Workers, Path]]:
    """Joins the processes that train together; gives (them, the folder this one writes to).

    Nothing may have used TensorFlow before, and no process goes on before all have come.

    Args:
        name: str. One of `STRATEGIES`, as `check_strategy` has found.
        output: Path. Folder of the run, which the chief alone writes.
        say: told what is waited for, and where the run is.

    Raises:
        ConfigError: TF_CONFIG names no worker.
        SerError: another worker is gone.
    """
    workers = _join(name, say)
    own = nullcontext(output) if workers.chief else TemporaryDirectory(prefix="ser-worker-")
    try:
        with own as folder:
            yield workers, Path(folder)
            # Nobody leaves, and nobody ends well, before the chief has written everything.
            workers.from_chief(b"")
    except _LOST as error:
        if workers.count == 1:
            raise
        raise SerError(
            f"worker {workers.index} of {workers.count}: another worker is gone, or fails "
            f"({type(error).__name__}). See its messages, and start all workers again: they go on "
            "after the last epoch that has ended."
        ) from error
    if not workers.chief:
        say(f"worker {workers.index} of {workers.count}: done; worker 0 has written the run")


def _join(name: str, say: Callable[[str], None]) -> Workers:
    if name == "none":
        return ALONE
    addresses, index = (
        cluster(os.environ.get("TF_CONFIG", "")) if name == "multiworker" else ([], 0)
    )
    if len(addresses) > 1:
        say(f"worker {index} of {len(addresses)}: waiting for {', '.join(addresses)}")
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        return Workers(strategy, index, len(addresses))
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) == 1:
        say(f"--strategy {name}: there is one device, so this is a training like any other")
        return ALONE
    return Workers(tf.distribute.MirroredStrategy([device.name for device in devices]))


def cluster(text: str) -> tuple[list[str], int]:
    """Returns the addresses of all workers, the chief's first, and the number of this one.

    Args:
        text: str. TF_CONFIG, as TensorFlow defines it.

    Raises:
        ConfigError: empty, no JSON, or not of workers; an example is shown.

    Example:
        >>> task = {"type": "worker", "index": 1}
        >>> cluster(json.dumps({"cluster": {"worker": ["a:1", "b:1"]}, "task": task}))
        (['a:1', 'b:1'], 1)
    """
    try:
        config = json.loads(text)
        members, task = config["cluster"], config["task"]
        kinds = [
            (kind, number)
            for kind in ("chief", "worker")
            for number in range(len(members.get(kind, ())))
        ]
        addresses = [str(members[kind][number]) for kind, number in kinds]
        return addresses, kinds.index((task["type"], int(task["index"])))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        found = f"is {text!r}, which names no worker of a cluster" if text else "is not set"
        raise ConfigError(
            f"--strategy multiworker: TF_CONFIG {found}. Start the same command on every machine, "
            f"each with its own index: {EXAMPLE} ser train ..."
        ) from error
