"""What the audit finds, and the error that stops a run because of it.

Severities: `fail` stops the run, `warn` must be reported with the number, `info` explains it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ser_keras.errors import LeakageError

_SHOWN_NAMES = 4


@dataclass(frozen=True)
class Finding:
    """One result of the audit.

    Args:
        check: str. What was looked for: `duplicates`, `names`, `classes`, `speakers`, `sentences`,
            `coverage`, `promise`, `parts`, `normaliser`, `epoch`, `unlabelled`, `settings` or
            `track`.
        severity: str. `fail`, `warn` or `info`.
        message: str. A sentence.
        keys: tuple of str. Utterances concerned.
    """

    check: str
    severity: str
    message: str
    keys: tuple[str, ...] = ()


def enforce(findings: Iterable[Finding]) -> None:
    """Raises a LeakageError that names all findings of severity `fail`, if there are any."""
    failed = [finding for finding in findings if finding.severity == "fail"]
    if failed:
        raise LeakageError("; ".join(f"{f.check}: {f.message}" for f in failed))


def few(names: Sequence[str]) -> str:
    """Returns the first names, and how many more there are.

    Example:
        >>> few(["a", "b", "c", "d", "e"])
        'a, b, c, d and 1 more'
    """
    more = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")
