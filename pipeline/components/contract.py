"""The contract of a pipeline's component, separate from its work.

A pipeline's reader needs only the specs, and a test of an executor needs only folders. The terms
are those of TFX: a component takes artifacts and parameters and makes artifacts; an artifact is a
folder with a kind.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipeline.components.tables import Lookup
from ser_keras.errors import ConfigError, unknown_name

EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Parameter:
    """A parameter of a component, as a pipeline's file may give it.

    Args:
        kind: type. `str`, `int`, `float`, `bool`, `list`, `dict` or `Path`. A float may be given as
            a whole number. A Path names a file or folder whose content is read, so a change of the
            content counts as well.
        about: str. Its meaning, with its unit.
        default: its value if none is given.
        required: bool. It has no default.
        changes_result: bool. False if it only affects how the work is done, such as the number of
            processes; another value is then no reason to do the work again.
    """

    kind: type
    about: str
    default: Any = None
    required: bool = False
    changes_result: bool = True

    def accepts(self, value: Any) -> bool:
        """Tells whether a value from a pipeline's file is of this parameter's kind."""
        if value is None:
            return not self.required and self.default is None
        # In Python, True is also an int.
        if isinstance(value, bool):
            return self.kind is bool
        accepted = {float: (int, float), Path: (str, Path)}
        return isinstance(value, accepted.get(self.kind, self.kind))

    def convert(self, value: Any) -> Any:
        """Returns an accepted value as the type that the executor receives."""
        return self.kind(value) if self.kind in (float, Path) and value is not None else value


@dataclass(frozen=True)
class ComponentSpec:
    """The contract of a component.

    Args:
        name: str. Its name in a pipeline's file.
        about: str. One line.
        parameters: mapping of name to Parameter.
        inputs: mapping of key to the kind of artifact.
        outputs: mapping of key to the kind of artifact.
        optional: set of str. Inputs that may be left out.
        resumes: bool. It continues from what an interrupted attempt left in its output folders.
    """

    name: str
    about: str
    parameters: Mapping[str, Parameter] = field(default_factory=lambda: EMPTY)
    inputs: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    outputs: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    optional: frozenset[str] = frozenset()
    resumes: bool = False

    def resolve(self, given: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Returns all parameters, with defaults for those that are not given.

        Args:
            given: mapping of name to value.
            where: str. Name of the node in messages.

        Raises:
            ConfigError: an unknown or missing parameter, or a value of another kind.
        """
        for name, value in given.items():
            if name not in self.parameters:
                kind = f"parameter of {self.name}"
                raise ConfigError(f"{where}: {unknown_name(kind, name, self.parameters)}")
            parameter = self.parameters[name]
            if not parameter.accepts(value):
                raise ConfigError(
                    f"{where}: found {name}: {value!r}, expected a {parameter.kind.__name__}. "
                    f"It is: {parameter.about}."
                )
        for name, parameter in self.parameters.items():
            if parameter.required and name not in given:
                raise ConfigError(f"{where}: {name} is missing. Give it: {parameter.about}.")
        return {
            name: parameter.convert(given.get(name, parameter.default))
            for name, parameter in self.parameters.items()
        }


@dataclass(frozen=True)
class Task:
    """What an executor receives.

    Args:
        inputs: mapping of key to the artifact's folder, without inputs that were left out.
        outputs: mapping of key to a folder, empty unless the component resumes. The executor's
            files in it become the artifact.
        parameters: mapping of name to value, complete.
        progress: called as (what, done, total).
    """

    inputs: Mapping[str, Path]
    outputs: Mapping[str, Path]
    parameters: Mapping[str, Any]
    progress: Callable[[str, int, int], None] = lambda what, done, total: None


@dataclass(frozen=True)
class ComponentResult:
    """What an executor returns.

    Args:
        facts: mapping ready for JSON. Counts, scores and verdicts, for the lineage. `speakers`
            lists, as `<corpus>/<speaker>`, everyone whose speech is in the artifacts or influenced
            them; `path` is a folder made outside the pipeline. `delete-speaker` needs both.
        refusal: str. Why dependent nodes must not run, such as anomalies in the data. The artifacts
            are kept for inspection. Empty if there is no reason.
    """

    facts: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    refusal: str = ""


@dataclass(frozen=True)
class Component:
    """A contract with its work.

    Args:
        spec: the contract.
        execute: the work. Raises a SerError if it cannot be done; then nothing is published.
        reads: returns, for given parameters, the files and folders outside the pipeline that the
            result depends on. By default these are the parameters of kind Path.
        looks_up: returns, for given parameters and the folders of the inputs, the entries of tables
            whose modules the work imports by name, see `pipeline.components.tables`. By default
            there are none.
    """

    spec: ComponentSpec
    execute: Callable[[Task], ComponentResult]
    reads: Callable[[Mapping[str, Any]], Iterable[Path]] | None = None
    looks_up: Callable[[Mapping[str, Any], Mapping[str, Path]], Iterable[Lookup]] | None = None

    def files_read(self, parameters: Mapping[str, Any]) -> list[Path]:
        """Returns the files and folders outside the pipeline that the result depends on."""
        if self.reads is not None:
            return list(self.reads(parameters))
        return [value for value in parameters.values() if isinstance(value, Path)]

    def lookups(self, parameters: Mapping[str, Any], inputs: Mapping[str, Path]) -> list[Lookup]:
        """Returns the entries of tables whose modules the work imports by name."""
        return list(self.looks_up(parameters, inputs)) if self.looks_up is not None else []
