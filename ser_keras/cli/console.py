"""The console that all verbs print to."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from rich.console import Console

console = Console(soft_wrap=True, highlight=False)


def starting() -> AbstractContextManager[Any]:
    """Returns what shows that a verb is at work while it imports; TensorFlow takes seconds."""
    return console.status("starting")


def print_findings(findings: Sequence[Any], nothing: str = "audit: no findings") -> None:
    """Prints one line per finding, worst first; `nothing` where there is none."""
    colours = {"fail": "bold red", "warn": "yellow", "info": "dim"}
    for finding in sorted(findings, key=lambda f: ("fail", "warn", "info").index(f.severity)):
        console.print(
            f"[{colours[finding.severity]}]{finding.severity}[/] {finding.check}: ", end=""
        )
        console.print(finding.message, markup=False)
    if not findings and nothing:
        console.print(nothing)
