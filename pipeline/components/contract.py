"""What a component of the pipeline is: its contract, apart from its work.

A reader of a pipeline looks at specs and never opens an executor; a test of an executor gives it
folders and never builds a pipeline. The words are those of TFX: a component takes artifacts and
parameters and makes artifacts; an artifact is a folder with a kind.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ser_keras.errors import ConfigError, unknown_name

NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Parameter:
    """A parameter of a component, as a pipeline's file may give it.

    Args:
        kind: type. `str`, `int`, `float`, `bool`, `list`, `dict` or `Path`. A whole number is a
            float, too. A Path names a file or folder that is read: its content counts as well.
        about: str. What it means, with its unit.
        default: its value where none is given.
        required: bool. It has no default.
        changes_result: bool. False where it only says how the work is done, such as the number of
            processes: another value is no reason to do it again.
    """

    kind: type
    about: str
    default: Any = None
    required: bool = False
    changes_result: bool = True

    def accepts(self, value: Any) -> bool:
        """Tells whether a value of a pipeline's file is of this parameter's kind."""
        if value is None:
            return not self.required and self.default is None
        # In Python, True is a whole number as well.
        if isinstance(value, bool):
            return self.kind is bool
        kinds = {float: (int, float), Path: (str, Path)}
        return isinstance(value, kinds.get(self.kind, self.kind))

    def convert(self, value: Any) -> Any:
        """Returns an accepted value as the type that the executor gets."""
        return self.kind(value) if self.kind in (float, Path) and value is not None else value


@dataclass(frozen=True)
class ComponentSpec:
    """The contract of a component.

    Args:
        name: str. What a pipeline's file calls it.
        about: str. One line.
        parameters: mapping of name to Parameter.
        inputs: mapping of key to the kind of artifact.
        outputs: mapping of key to the kind of artifact.
        optional: set of str. Inputs that may be left out.
        resumes: bool. Its work goes on from what an interrupted attempt left in its folders.
    """

    name: str
    about: str
    parameters: Mapping[str, Parameter] = field(default_factory=lambda: NONE)
    inputs: Mapping[str, str] = field(default_factory=lambda: NONE)
    outputs: Mapping[str, str] = field(default_factory=lambda: NONE)
    optional: frozenset[str] = frozenset()
    resumes: bool = False

    def resolve(self, given: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Returns all parameters, with defaults for those that are not given.

        Args:
            given: mapping of name to value.
            where: str. What messages call the node.

        Raises:
            ConfigError: an unknown or missing parameter, or a value of another kind.
        """
        for name, value in given.items():
            if name not in self.parameters:
                kind = f"parameter of {self.name}"
                raise ConfigError(f"{where}: {unknown_name(kind, name, self.parameters)}")
            wanted = self.parameters[name]
            if not wanted.accepts(value):
                raise ConfigError(
                    f"{where}: found {name}: {value!r}, expected a {wanted.kind.__name__}. "
                    f"It is: {wanted.about}."
                )
        for name, wanted in self.parameters.items():
            if wanted.required and name not in given:
                raise ConfigError(f"{where}: {name} is missing. Give it: {wanted.about}.")
        return {
            name: each.convert(given.get(name, each.default))
            for name, each in self.parameters.items()
        }


@dataclass(frozen=True)
class Task:
    """What an executor gets.

    Args:
        inputs: mapping of key to the artifact's folder; those left out are not in it.
        outputs: mapping of key to a folder, empty unless the component resumes. What is left there
            becomes the artifact.
        parameters: mapping of name to value, complete.
        progress: called as (what, done, total).
    """

    inputs: Mapping[str, Path]
    outputs: Mapping[str, Path]
    parameters: Mapping[str, Any]
    progress: Callable[[str, int, int], None] = lambda what, done, total: None


@dataclass(frozen=True)
class Outcome:
    """What an executor says of its work.

    Args:
        facts: mapping ready for JSON. Counts, scores, verdicts, for the lineage. Under `speakers`,
            as `<corpus>/<speaker>`, all whose speech is in the artifacts or shaped them; under
            `path`, a folder outside the pipeline that it made. Both are for `delete-speaker`.
        refusal: str. Why nodes that need this one must not run, such as anomalies in the data; the
            artifacts are kept, to be read. Empty where all is well.
    """

    facts: Mapping[str, Any] = field(default_factory=lambda: NONE)
    refusal: str = ""


@dataclass(frozen=True)
class Component:
    """A contract with its work.

    Args:
        spec: the contract.
        execute: the work. Raises a SerError where it cannot be done; then nothing is published.
        reads: returns, for parameters, the files and folders outside the pipeline that the result
            depends on; those of the parameters of kind Path where it is None.
    """

    spec: ComponentSpec
    execute: Callable[[Task], Outcome]
    reads: Callable[[Mapping[str, Any]], Iterable[Path]] | None = None

    def files_read(self, parameters: Mapping[str, Any]) -> list[Path]:
        """Returns the files and folders outside the pipeline whose content counts."""
        if self.reads is not None:
            return list(self.reads(parameters))
        return [value for value in parameters.values() if isinstance(value, Path)]
