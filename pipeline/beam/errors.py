"""What went wrong, in one line, out of what a runner says about it.

The local runner raises a step's error. A cluster sends a page: the worker's traceback inside
Java's, wrapped again by all who passed it on. The cause stands deep in that page, never at its end.
"""

import re

_TRACEBACK = "Traceback (most recent call last):"
_JAVA_FRAME = re.compile(r"\s+(at [\w.$/<>]+\(.*|\.\.\. \d+ (more|common frames omitted))$")
_JAVA_CAUSE = re.compile(r"Caused by: (.*)")


def cause_of(error: BaseException) -> str:
    """Returns the line that says what happened, the error's type where there are no words.

    Example:
        >>> page = '''java.lang.Exception: Operator failed
        ...     at org.apache.flink.Task.run(Task.java:1)
        ... Caused by: java.lang.RuntimeException: Traceback (most recent call last):
        ...   File "transforms.py", line 1, in write_shard
        ... OSError: No space left on device
        ...
        ...     at org.apache.beam.Bundle.close(Bundle.java:1)
        ...     ... 4 more'''
        >>> cause_of(RuntimeError(page))
        'OSError: No space left on device'
    """
    # Flink's REST interface answers in JSON, with the page's lines in one.
    text = str(error).replace("\\n", "\n").replace("\\t", "\t")
    lines = [line for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not _JAVA_FRAME.match(line)]
    raised = _after_tracebacks(lines)
    if raised:
        return raised[-1].strip()
    causes = [found[1].strip() for line in lines if (found := _JAVA_CAUSE.match(line))]
    if causes:
        # What wraps the deepest one may repeat it and say more, such as which address refused.
        _, _, words = causes[-1].partition(": ")
        return next((cause for cause in causes[-2:-1] if words in cause), causes[-1])
    return lines[-1].strip() if lines else type(error).__name__


def _after_tracebacks(lines: list[str]) -> list[str]:
    """Returns the line that ends each of Python's tracebacks: the first that is not indented."""
    found, inside = [], False
    for line in lines:
        if line.rstrip().endswith(_TRACEBACK):
            inside = True
        elif inside and not line.startswith(" "):
            found.append(line)
            inside = False
    return found
