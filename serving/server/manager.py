"""Which versions of which models are in memory: found, loaded, swapped and dropped while serving.

As TensorFlow Serving does it: the base folder is polled; a version is any folder whose name is a
number; the old version answers until the new one has warmed up; a version that fails to load is
said to have failed and changes nothing else.
"""

import gc
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import grpc
import tensorflow as tf

from serving.export.layout import versions
from serving.server.batching import Batching
from serving.server.errors import RequestError
from serving.server.session import LoadedModel

LOADING, AVAILABLE, UNLOADING, END = 20, 30, 40, 50
DEFAULT = "serving_default"

Log = Callable[[str], None]


@dataclass(frozen=True)
class ModelConfig:
    """One model of the server, an entry of `models.config`.

    Args:
        name: str.
        base_path: Path. Folder of its versions.
        latest: int. Serve so many of the newest versions; 0 serves all.
        specific: tuple of int. Serve exactly these versions.
        labels: mapping of label to version.
    """

    name: str
    base_path: Path
    latest: int = 1
    specific: tuple[int, ...] = ()
    labels: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def wanted(self) -> list[int]:
        """Returns the versions on disk that are to be served, lowest first."""
        found = versions(self.base_path)
        if self.specific:
            return [version for version in found if version in self.specific]
        return found[-self.latest :] if self.latest else found


@dataclass
class Version:
    """A version of a model, from its first sight to its end.

    Args:
        state: int. TensorFlow Serving's number: loading, available, unloading or ended.
        model: the loaded model while it is available.
        users: int. Requests that run.
        error: what loading failed with.
    """

    state: int = LOADING
    model: LoadedModel | None = None
    users: int = 0
    error: RequestError | None = None


class ModelManager:
    """Keeps the versions that configurations ask for, and lends them to requests.

    Args:
        configs: the models.
        log: called with a sentence on every change.
        load_attempts: int. How often a failing version is tried before it is left alone.
        retry_s: float. Between two tries.
        batching: as of `LoadedModel`.
    """

    def __init__(
        self,
        configs: Sequence[ModelConfig],
        log: Log = lambda text: None,
        *,
        load_attempts: int = 3,
        retry_s: float = 5.0,
        batching: Batching | None = None,
    ):
        self.log, self.batching = log, batching
        self.load_attempts, self.retry_s = load_attempts, retry_s
        self._configs = {config.name: config for config in configs}
        self._versions: dict[str, dict[int, Version]] = {name: {} for name in self._configs}
        self._failures: dict[tuple[str, int], tuple[int, float]] = {}
        self._changed = threading.Condition()
        self._update = threading.Lock()

    # === Requests ===

    @contextmanager
    def lend(
        self, name: str, version: int | None = None, label: str | None = None
    ) -> Iterator[tuple[LoadedModel, int]]:
        """Gives (model, its version) for one request; it stays in memory until that ends.

        Raises:
            RequestError: no such model, version or label, in TensorFlow Serving's words.
        """
        with self._changed:
            number = self._resolve(name, version, label)
            lent = self._versions[name][number]
            model = lent.model
            if model is None:
                raise RequestError.unavailable("The version is being unloaded; ask again.")
            lent.users += 1
        try:
            yield model, number
        finally:
            with self._changed:
                lent.users -= 1
                self._changed.notify_all()

    def states(self, name: str, version: int | None = None) -> dict[int, Version]:
        """Returns the versions of a model that were ever seen, newest first.

        Raises:
            RequestError: there is none.
        """
        with self._changed:
            found = {
                number: replace(state)
                for number, state in sorted(self._versions.get(name, {}).items(), reverse=True)
                if version in (None, number)
            }
        if not found:
            raise RequestError.not_found(f"Could not find any versions of model {name}")
        return found

    def _resolve(self, name: str, version: int | None, label: str | None) -> int:
        if not name:
            raise RequestError.invalid("ModelSpec has no name specified.")
        available = [
            number
            for number, state in self._versions.get(name, {}).items()
            if state.state == AVAILABLE
        ]
        if label:
            labels = self._configs[name].labels if name in self._configs else {}
            if labels.get(label) not in available:
                raise RequestError.invalid(f"Unrecognized servable version label: {label}")
            return labels[label]
        if version is None:
            if not available:
                raise RequestError.not_found(f"Servable not found for request: Latest({name})")
            return max(available)
        if version not in available:
            raise RequestError.not_found(
                f"Servable not found for request: Specific({name}, {version})"
            )
        return version

    # === Changes ===

    def reload(self, configs: Sequence[ModelConfig]) -> None:
        """Serves these models from now on; those that are not among them end.

        Raises:
            RequestError: two models have one name, or a base path is no folder. Nothing changes.
        """
        names = [config.name for config in configs]
        for config in configs:
            if names.count(config.name) > 1:
                raise RequestError.invalid(f"Illegal to list model {config.name} multiple times.")
            if not config.base_path.is_dir():
                raise RequestError.invalid(
                    f"Could not find base path {config.base_path} for servable {config.name}"
                )
        with self._update:
            with self._changed:
                self._configs = {config.name: config for config in configs}
                for name in self._configs:
                    self._versions.setdefault(name, {})
            self._poll()

    def poll(self) -> None:
        """Looks at the disk once, loads what is new and unloads what is no longer wanted."""
        with self._update:
            self._poll()

    def _poll(self) -> None:
        before = self._in_memory()
        for name in list(self._versions):
            wanted = []
            if config := self._configs.get(name):
                wanted = config.wanted()
                for number in wanted:
                    self._load(name, config.base_path, number)
            with self._changed:
                ready = [
                    n for n in wanted if n in self._versions[name] and self._available(name, n)
                ]
                old = [n for n in self._versions[name] if n not in wanted]
            # Without anything newer that answers, the old version goes on.
            if ready or not wanted:
                for number in old:
                    self._unload(name, number)
        if self._in_memory() != before:
            spare_from_collection()

    def _in_memory(self) -> set[tuple[str, int]]:
        return {
            (name, number)
            for name, numbers in self._versions.items()
            for number in numbers
            if self._available(name, number)
        }

    def _available(self, name: str, number: int) -> bool:
        return self._versions[name][number].state == AVAILABLE

    def _load(self, name: str, base_path: Path, number: int) -> None:
        key = (name, number)
        attempts, after = self._failures.get(key, (0, 0.0))
        with self._changed:
            known = self._versions[name].get(number)
            if known is not None and known.state == AVAILABLE:
                return
            if attempts >= self.load_attempts or time.monotonic() < after:
                return
            state = self._versions[name][number] = Version()
        began = time.monotonic()
        try:
            model = LoadedModel(base_path / _folder_name(base_path, number), self.batching)
            with self._changed:
                served = [v.model for v in self._versions[name].values() if v.model is not None]
            _check_signature(model, served)
        except (RequestError, tf.errors.OpError, OSError, ValueError) as error:
            self._failures[key] = (attempts + 1, time.monotonic() + self.retry_s)
            with self._changed:
                state.state = END
                state.error = _as_request_error(error)
            self.log(f"{name} version {number}: not served: {state.error.message}")
            return
        self._failures.pop(key, None)
        with self._changed:
            state.model, state.state = model, AVAILABLE
        self.log(f"{name} version {number}: available after {time.monotonic() - began:.1f} s")

    def _unload(self, name: str, number: int) -> None:
        with self._changed:
            state = self._versions[name][number]
            if state.state != AVAILABLE:
                return
            state.state = UNLOADING
            self._changed.wait_for(lambda: state.users == 0)
            model, state.model, state.state = state.model, None, END
        if model is not None:
            model.close()
        self.log(f"{name} version {number}: unloaded")

    def close(self) -> None:
        """Waits for the requests that run, and frees everything."""
        with self._update:
            for name, numbers in self._versions.items():
                for number in list(numbers):
                    self._unload(name, number)


def spare_from_collection() -> None:
    """Sets what is in memory apart from what Python's garbage collector looks through.

    TensorFlow and a graph are 400,000 objects. Every half minute under load it would look at all of
    them, for a quarter of a second in which nobody is answered, and requests are late.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _folder_name(base: Path, number: int) -> str:
    """Returns the folder of a version: `00000123` is version 123."""
    return next(
        path.name for path in base.iterdir() if path.name.isdecimal() and int(path.name) == number
    )


def _check_signature(model: LoadedModel, served: Sequence[LoadedModel]) -> None:
    """Refuses a version that those who ask its predecessors could not ask."""
    found = _named_types(model)
    for other in served:
        expected = _named_types(other)
        if found["inputs"] != expected["inputs"] or not expected["outputs"] <= found["outputs"]:
            model.close()
            raise RequestError.invalid(
                f"{model.folder}: {DEFAULT} takes {_told(found['inputs'])} and gives "
                f"{_told(found['outputs'])}, expected {_told(expected['inputs'])} and "
                f"{_told(expected['outputs'])} like the version that is served."
            )


def _named_types(model: LoadedModel) -> dict[str, set[tuple[str, int]]]:
    signature = model.signature(DEFAULT)
    sides = {"inputs": signature.inputs, "outputs": signature.outputs}
    return {side: {(name, t.dtype) for name, t in ts.items()} for side, ts in sides.items()}


def _told(types: set[tuple[str, int]]) -> str:
    return ", ".join(f"{name} ({tf.dtypes.as_dtype(kind).name})" for name, kind in sorted(types))


def _as_request_error(error: Any) -> RequestError:
    if isinstance(error, RequestError):
        return error
    if isinstance(error, tf.errors.OpError):
        return RequestError(error.error_code, error.message.split("\n")[0])
    return RequestError(grpc.StatusCode.NOT_FOUND, str(error))
