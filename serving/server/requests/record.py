"""What is known of a request once it is answered, and its line in the log."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from serving.server.requests.text import printable, shown

LogLevel = Literal["none", "refused", "all"]
OK = "OK"
_MAX_PROBLEM = 300


@dataclass
class RequestRecord:
    """A request and its outcome.

    Args:
        method: str.
        client: str. Its address.
        model, signature: str. As the request names them.
        version: str. Number of the version that was asked; else what the request names.
        code: str. Name of gRPC's code.
        seconds: float. Until it was answered.
        size: int. Bytes of the request.
        problem: str. Why it was refused.
    """

    method: str
    client: str = ""
    model: str = ""
    version: str = ""
    signature: str = ""
    code: str = OK
    seconds: float = 0.0
    size: int = 0
    problem: str = ""

    def line(self) -> str:
        r"""Returns the line of the log, without audio, in the form that tools call logfmt.

        Example:
            >>> record = RequestRecord("predict", model="my model\n", size=68)
            >>> record.line().split(" ", 2)[2]
            'method=predict model="my model?" version=- signature=- code=OK seconds=0.0000 bytes=68'
        """
        values = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "client": self.client,
            "method": self.method,
            "model": shown(self.model),
            "version": shown(self.version),
            "signature": shown(self.signature),
            "code": self.code,
            "seconds": f"{self.seconds:.4f}",
            "bytes": str(self.size),
        }
        if self.problem:
            values["problem"] = printable(self.problem, _MAX_PROBLEM)
        return " ".join(f"{key}={_value(text)}" for key, text in values.items())


class RequestLog:
    """Writes a line for each request, or for those that were refused.

    Args:
        write: called with each line.
        level: which requests have a line.
    """

    def __init__(self, write: Callable[[str], None], level: LogLevel):
        self._write, self._level = write, level

    def add(self, record: RequestRecord) -> None:
        """Writes the line of a request, if it is to have one."""
        if self._level == "all" or (self._level == "refused" and record.code != OK):
            self._write(record.line())


def _value(text: str) -> str:
    if not text:
        return "-"
    simple = not any(letter in text for letter in ' "=\\')
    return text if simple else json.dumps(text, ensure_ascii=False)
