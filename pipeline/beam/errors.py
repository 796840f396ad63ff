"""Finds the cause of a failed job, one line, in a runner's error message.

The local runner raises a step's error. A cluster sends a long text: the worker's traceback inside
Java's, wrapped several times. The cause is deep inside that text, never at its end.
"""

import re

_TRACEBACK = "Traceback (most recent call last):"
_JAVA_FRAME = re.compile(r"\s+(at [\w.$/<>]+\(.*|\.\.\. \d+ (more|common frames omitted))$")
_JAVA_CAUSE = re.compile(r"Caused by: (.*)")
# What gRPC prints of a call to a runner that is gone; the last line of it is ">".
_GRPC = re.compile(r"status = StatusCode\.(\w+)\s+details = \"(.*)\"")


def cause_of(error: BaseException) -> str:
    """Returns the line that names the cause; the error's type if there is no text.

    Example:
        >>> text = '''java.lang.Exception: Operator failed
        ...     at org.apache.flink.Task.run(Task.java:1)
        ... Caused by: java.lang.RuntimeException: Traceback (most recent call last):
        ...   File "transforms.py", line 1, in write_shard
        ... OSError: No space left on device
        ...
        ...     at org.apache.beam.Bundle.close(Bundle.java:1)
        ...     ... 4 more'''
        >>> cause_of(RuntimeError(text))
        'OSError: No space left on device'
    """
    # Flink's REST interface answers in JSON, where the lines of the text are one.
    text = str(error).replace("\\n", "\n").replace("\\t", "\t")
    lines = [line for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not _JAVA_FRAME.match(line)]
    errors = _traceback_ends(lines)
    if errors:
        return errors[-1].strip()
    causes = [match[1].strip() for line in lines if (match := _JAVA_CAUSE.match(line))]
    if causes:
        # The cause around the deepest one may repeat it with details, such as the address.
        _, _, message = causes[-1].partition(": ")
        return next((cause for cause in causes[-2:-1] if message in cause), causes[-1])
    if call := _GRPC.search(text):
        return f"the runner's job server does not answer ({call[1]}: {call[2]})"
    sentences = [line.strip() for line in lines if any(map(str.isalnum, line))]
    return sentences[-1] if sentences else type(error).__name__


def _traceback_ends(lines: list[str]) -> list[str]:
    """Returns the last line of each Python traceback: the first that is not indented."""
    ends, inside = [], False
    for line in lines:
        if line.rstrip().endswith(_TRACEBACK):
            inside = True
        elif inside and not line.startswith(" "):
            ends.append(line)
            inside = False
    return ends
