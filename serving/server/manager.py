"""The versions of models in memory: discovered, loaded, swapped and unloaded while serving.

As in TensorFlow Serving, the base folder is polled, and every folder whose name is a number is a
version. The old version answers until the new one has warmed up. A version that fails to load is
reported as failed and changes nothing else.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from serving.export.layout import version_folders
from serving.server.batching import BatchingParameters
from serving.server.config_files import ModelEntry
from serving.server.errors import RequestError
from serving.server.loading.compatibility import load_compatible
from serving.server.loading.memory import exempt_from_garbage_collection
from serving.server.loading.retries import Retries, fingerprint
from serving.server.loading.transitions import check_transition, not_available
from serving.server.requests.memory import MemoryBudget
from serving.server.requests.text import shown
from serving.server.session import LoadedModel

# TensorFlow Serving's numbers of a version's states.
LOADING, AVAILABLE, UNLOADING, END = 20, 30, 40, 50

Log = Callable[[str], None]


@dataclass
class Version:
    """A version of a model, from its discovery to its end.

    Args:
        state: int. LOADING, AVAILABLE, UNLOADING or END.
        model: the loaded model while it is available.
        users: int. Requests that run.
        error: the error with which loading failed.
    """

    state: int = LOADING
    model: LoadedModel | None = None
    users: int = 0
    error: RequestError | None = None


class ModelManager:
    """Keeps the configured versions in memory, and lends them to requests.

    Args:
        models: entries of the models.
        log: called with a sentence on every change.
        load_attempts: int. Number of attempts to load a version that fails, until its files change.
        retry_s: float. Time between two attempts.
        batching, trust, memory: as of `LoadedModel`.
        labels_in_advance: bool. As of `check_transition`.
    """

    def __init__(
        self,
        models: Sequence[ModelEntry],
        log: Log = lambda text: None,
        *,
        load_attempts: int = 3,
        retry_s: float = 5.0,
        batching: BatchingParameters | None = None,
        trust: bool = False,
        memory: MemoryBudget | None = None,
        labels_in_advance: bool = False,
    ):
        self.log, self.labels_in_advance = log, labels_in_advance
        self._load_version = partial(load_compatible, batching=batching, trust=trust, memory=memory)
        self._models = {model.name: model for model in models}
        self._versions: dict[str, dict[int, Version]] = {name: {} for name in self._models}
        self._retries = Retries(load_attempts, retry_s)
        # Why the folder of a model cannot be read, by name.
        self._unreadable: dict[str, str] = {}
        self._changed = threading.Condition()
        self._update = threading.Lock()

    # === Requests ===

    @contextmanager
    def lend(
        self, name: str, version: int | None = None, label: str | None = None
    ) -> Iterator[tuple[LoadedModel, int]]:
        """Gives (model, its version) for one request; it stays in memory until the request ends.

        Raises:
            RequestError: no such model, version or label, in TensorFlow Serving's words.
        """
        with self._changed:
            number = self._resolve(name, version, label)
            used = self._versions[name][number]
            model = used.model
            if model is None:
                raise RequestError.unavailable("The version is being unloaded; ask again.")
            used.users += 1
        try:
            yield model, number
        finally:
            with self._changed:
                used.users -= 1
                self._changed.notify_all()

    def states(self, name: str, version: int | None = None) -> dict[int, Version]:
        """Returns all versions of a model that were ever discovered, newest first.

        Raises:
            RequestError: there is none.
        """
        with self._changed:
            copies = {
                number: replace(known)
                for number, known in sorted(self._versions.get(name, {}).items(), reverse=True)
                if version in (None, number)
            }
        if not copies:
            raise RequestError.not_found(f"Could not find any versions of model {shown(name)}")
        return copies

    def is_configured(self, name: str) -> bool:
        """Tells whether a model of this name is served, or is to be."""
        return name in self._models

    def answering(self) -> dict[str, bool]:
        """Tells for each configured model, by name, whether a version of it can answer."""
        with self._changed:
            return {name: bool(self._available(name)) for name in self._models}

    def problem(self, name: str) -> str:
        """Returns why no version of a model can answer; an empty text if one can."""
        with self._changed:
            if self._available(name):
                return ""
            known = self._versions.get(name, {})
            errors = [known[number].error for number in sorted(known, reverse=True)]
        return next((e.message for e in errors if e is not None), f"{name} has no version.")

    def _resolve(self, name: str, version: int | None, label: str | None) -> int:
        if not name:
            raise RequestError.invalid("ModelSpec has no name specified.")
        available = self._available(name)
        if label is not None:
            labels = self._models[name].labels if name in self._models else {}
            if labels.get(label) not in available:
                raise RequestError.invalid(f"Unrecognized servable version label: {shown(label)}")
            return labels[label]
        if version is None and available:
            return max(available)
        if version is not None and version in available:
            return version
        asked = "Latest({})" if version is None else "Specific({}, {})"
        what = asked.format(shown(name), version)
        raise RequestError.not_found(f"Servable not found for request: {what}")

    def _available(self, name: str) -> list[int]:
        known = self._versions.get(name, {})
        return [number for number in known if known[number].state == AVAILABLE]

    # === Changes ===

    def reload(self, models: Sequence[ModelEntry]) -> None:
        """Serves these models from now on, and unloads all others.

        Raises:
            RequestError: as of `check_transition`, and nothing changes; or a new model has no
                version that can answer, and is tried again from now on.
        """
        with self._update:
            with self._changed:
                check_transition(
                    self._models,
                    models,
                    lambda name, number: number in self._available(name),
                    labels_in_advance=self.labels_in_advance,
                )
                new = [model.name for model in models if model.name not in self._models]
                self._models = {model.name: model for model in models}
                for name in self._models:
                    self._versions.setdefault(name, {})
            self._poll()
            problems = {name: problem for name in new if (problem := self.problem(name))}
        if problems:
            raise not_available(problems)

    def poll(self) -> None:
        """Reads the disk once, loads new versions and unloads those that are no longer served."""
        with self._update:
            self._poll()

    def _poll(self) -> None:
        before = self._in_memory()
        for name in list(self._versions):
            served = self._versions_to_serve(name)
            if served is None:
                continue
            for number in served:
                self._load(name, self._models[name].base_path, number)
            with self._changed:
                known = self._versions[name]
                ready = set(served) & set(self._available(name))
                old = [n for n in known if n not in served]
            # The old version goes on until a newer one answers.
            if ready or not served:
                for number in old:
                    self._unload(name, number)
        if self._in_memory() != before:
            exempt_from_garbage_collection()

    def _versions_to_serve(self, name: str) -> list[int] | None:
        """Returns the versions that a model should have; None while its folder cannot be read.

        A folder that cannot be read, such as that of a network disk that is away, takes nothing
        from memory.
        """
        model = self._models.get(name)
        if model is None:
            return []
        try:
            served = model.served_versions()
        except OSError as error:
            reason = error.strerror or str(error)
            if self._unreadable.get(name) != reason:
                self._unreadable[name] = reason
                self.log(f"{name}: {model.base_path}: {reason}; what is in memory goes on serving")
            return None
        if self._unreadable.pop(name, None) is not None:
            self.log(f"{name}: {model.base_path} can be read again")
        return served

    def _in_memory(self) -> set[tuple[str, int]]:
        return {(name, number) for name in self._versions for number in self._available(name)}

    def _load(self, name: str, base_path: Path, number: int) -> None:
        key = (name, number)
        with self._changed:
            known = self._versions[name].get(number)
            if known is not None and known.state == AVAILABLE:
                return
        try:
            folder = _folder_of(base_path, number)
        except OSError:
            # Removed since the base folder was read; the next poll sees the same.
            return
        if not self._retries.is_due(key, folder):
            return
        with self._changed:
            version = self._versions[name][number] = Version()
            served = [v.model for v in self._versions[name].values() if v.model is not None]
        files, began = fingerprint(folder), time.monotonic()
        try:
            model = self._load_version(folder, served=served)
        except RequestError as error:
            with self._changed:
                version.state, version.error = END, error
            what_next = self._retries.record_failure(key, files)
            self.log(f"{name} version {number}: not served: {error.message} ({what_next})")
            return
        self._retries.forget(key)
        with self._changed:
            version.model, version.state = model, AVAILABLE
        self.log(f"{name} version {number}: available after {time.monotonic() - began:.1f} s")

    def _unload(self, name: str, number: int) -> None:
        with self._changed:
            version = self._versions[name][number]
            if version.state != AVAILABLE:
                return
            version.state = UNLOADING
            self._changed.wait_for(lambda: version.users == 0)
            model, version.model, version.state = version.model, None, END
        if model is not None:
            model.close()
        self.log(f"{name} version {number}: unloaded")

    def close(self) -> None:
        """Waits for the requests that run, and frees everything."""
        with self._update:
            for name, numbers in self._versions.items():
                for number in list(numbers):
                    self._unload(name, number)


def _folder_of(base: Path, number: int) -> Path:
    """Returns the folder of a version: `00000123` is version 123.

    Raises:
        OSError: it is gone, or the base folder cannot be read.
    """
    folders = version_folders(base)
    if number not in folders:
        raise FileNotFoundError(f"{base} no longer holds version {number}.")
    return folders[number]
