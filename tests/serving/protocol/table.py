"""Compares a server with TensorFlow Serving's source and writes the page about it.

    python -m tests.serving.protocol.table [--server HOST_PORT REST_PORT BASE] [--page PATH]

Without `--server` it starts `ser serve` with a model of its own.
"""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import grpc

from tests.architecture import ROOT
from tests.serving.protocol import grpc_calls, http_calls
from tests.serving.protocol.cases import (
    WORDS,
    Case,
    disagreements,
    read_cases,
    read_differences,
    read_sources,
)
from tests.serving.protocol.model import LABELS, NAME, models_config, write_models
from tests.serving.server.processes import ServerProcess

PAGE = ROOT / "docs" / "reference" / "serving_protocol.md"
LIMIT = 90
INTRODUCTION = """\
# The protocol beside TensorFlow Serving's

`ser serve` answers what TensorFlow Serving's container answers, so that a client that works here
works there. This page has {count} requests of both protocols. The second column is what TensorFlow
Serving's source says, and where; a number is HTTP's status, a word gRPC's code. The third column
is what `ser serve` answered. {same} answers are the same. {differing} differ, for one of the
reasons at the end of the page.

`python -m tests.serving.protocol.table` sends them all again and writes this page.
"""


@dataclass(frozen=True)
class Answered:
    """A case with our answer.

    Args:
        case: what was asked.
        answer: our answer.
    """

    case: Case
    answer: Mapping[str, Any]

    @property
    def wrong(self) -> list[str]:
        """In what the answer is neither TensorFlow Serving's nor a difference that is listed."""
        return disagreements(self.case.expected, self.answer)

    @property
    def outdated(self) -> bool:
        """Whether a difference is listed that there no longer is."""
        same = not disagreements(self.case.source, self.answer)
        return bool(self.case.differs) and same and not self.wrong


def ask_all(target: str, rest_port: int, base: str) -> Iterator[Answered]:
    """Yields all cases with a server's answers.

    Args:
        target: host and port of gRPC.
        rest_port: of REST on this machine.
        base: folder of the models, see `tests.serving.protocol.model`.
    """
    labels = f"config {{ {models_config(Path(base), LABELS)} }}"
    reload = {"call": "HandleReloadConfigRequest", "request": labels}
    with grpc.insecure_channel(target, [("grpc.max_send_message_length", -1)]) as channel:
        labelled = grpc_calls.ask(channel, reload, base)
        if labelled["code"] != "OK":
            raise RuntimeError(f"{target}: the label was refused: {labelled}")
        for case in read_cases():
            yield Answered(case, _ask(case, channel, rest_port, base))


def _ask(case: Case, channel: grpc.Channel, rest_port: int, base: str) -> Mapping[str, Any]:
    if "http" in case.request:
        return http_calls.ask(rest_port, case.request)
    if {"raw", "hex", "gzip"} & set(case.request):
        count = len([status for status in case.expected["statuses"] if status])
        return http_calls.converse(rest_port, case.request, count)
    if case.request.get("wait"):
        return grpc_calls.ask_until(channel, case.request, base, case.expected["code"])
    return grpc_calls.ask(channel, case.request, base)


def page(answers: Sequence[Answered]) -> str:
    """Returns the page."""
    reasons = read_differences()
    right = [answered for answered in answers if not answered.wrong]
    differing = sum(bool(answered.case.differs) for answered in right)
    same = len(right) - differing
    parts = [INTRODUCTION.format(count=len(answers), same=same, differing=differing)]
    for group, members in groupby(answers, key=lambda answered: answered.case.group):
        rows = [_row(answered) for answered in members]
        parts.append(_section(group, ["case", "TensorFlow Serving's source", "ours", ""], rows))
    used = {answered.case.differs for answered in answers}
    listed = [f"| {key} | {reason} |" for key, reason in reasons.items() if key in used]
    parts.append(_section("Why some differ", ["reason", "meaning"], listed))
    read = [f"| {_escaped(file)} | {_escaped(commit)} |" for file, commit in read_sources().items()]
    parts.append(_section("What was read", ["file", "read at"], read))
    return "\n".join(parts)


def _section(title: str, columns: Sequence[str], rows: Sequence[str]) -> str:
    header = [f"| {' | '.join(columns)} |", f"| {' | '.join('---' for _ in columns)} |"]
    return "\n".join([f"## {title}", "", *header, *rows]) + "\n"


def _row(answered: Answered) -> str:
    case = answered.case
    if answered.wrong:
        verdict, ours = "**not as wanted**", _shown(answered.answer)
    elif case.differs:
        shown = answered.answer if case.differs in WORDS else case.expected
        verdict, ours = f"differs: {case.differs}", _shown(shown)
    else:
        verdict, ours = "same", _shown(case.source)
    cells = [_escaped(case.name), f"{_shown(case.source)}<br>{_escaped(case.where)}", ours, verdict]
    return f"| {' | '.join(cells)} |"


def _shown(answer: Mapping[str, Any]) -> str:
    """Returns code or status of an answer, and a message."""
    code = answer.get("code", answer.get("status", answer.get("statuses")))
    if isinstance(code, list):
        code = ", ".join("or ".join(map(str, c)) if isinstance(c, list) else str(c) for c in code)
    message = answer.get("message") or answer.get("error") or ""
    message = " ".join(str(message).split())
    if len(message) > LIMIT:
        message = f"{message[:LIMIT]}..."
    return _escaped(f"{code or 'nothing'}: {message}" if message else f"{code or 'nothing'}")


def _escaped(text: str) -> str:
    """Returns text for a cell of a table, without markup."""
    for sign in "\\`*{}[]<>|":
        text = text.replace(sign, f"&#{ord(sign)};")
    return text


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[str, int, str]]:
    """Starts `ser serve` and gives (host and port of gRPC, port of REST, folder of the models)."""
    monitoring = folder / "monitoring.config"
    monitoring.write_text("prometheus_config { enable: true }", encoding="utf-8")
    config = write_models(folder)
    process = ServerProcess(config, "--monitoring_config_file", monitoring, model=NAME)
    try:
        with process.client() as client:
            client.wait_until_available(120)
        yield f"localhost:{process.port}", process.rest_port, str(folder)
    finally:
        process.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", nargs=3, metavar=("TARGET", "REST_PORT", "BASE"))
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        if options.server:
            target, rest_port, base = options.server
        else:
            target, rest_port, base = stack.enter_context(serving(Path(folder)))
        answers = list(ask_all(target, int(rest_port), base))
    options.page.write_text(page(answers), encoding="utf-8")
    for answered in answers:
        for why in answered.wrong:
            sys.stdout.write(f"{answered.case.group}: {answered.case.name}: {why}\n")
        if answered.outdated:
            name = f"{answered.case.group}: {answered.case.name}"
            sys.stdout.write(f"{name}: no longer {answered.case.differs}\n")
    wrong = sum(bool(answered.wrong) for answered in answers)
    sys.stdout.write(f"{len(answers)} requests, {wrong} not as wanted\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
