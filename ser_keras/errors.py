"""Errors a person can act on: each says where, what was found, what was expected, what to do.

Every class carries the exit code of the command that ends with it, so that a nightly job can tell
a damaged corpus from a mistyped option without reading the text.
"""

import difflib
import errno
import os
from collections.abc import Iterable


class SerError(Exception):
    """Base of every error this project raises on purpose. The message says who must act."""

    exit_code = 1


class ConfigError(SerError):
    """An option, a configuration key or a name is wrong. The caller corrects the command."""

    exit_code = 2


class CorpusError(SerError):
    """A corpus is missing, partial, doubled or damaged. The data's owner repairs it."""

    exit_code = 3


class AudioError(SerError):
    """One recording cannot be used. The owner of the data replaces or removes that file.

    Args:
        message: str. The full sentence.
        kind: str. A short stable word for counters and dead letters, such as `"truncated"`.
    """

    exit_code = 4

    def __init__(self, message: str, kind: str = "unreadable"):
        super().__init__(message)
        self.kind = kind

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (str(self), self.kind)


class NoSpeechError(AudioError):
    """There is no voice in a recording. The speaker looks at the microphone."""

    exit_code = 11

    def __init__(self, message: str, kind: str = "no_speech"):
        super().__init__(message, kind)


class SchemaError(SerError):
    """Features on disk do not match what the reader needs. Their owner runs the job again."""

    exit_code = 5


class LeakageError(SerError):
    """Test data would influence training. The researcher changes the protocol or the data."""

    exit_code = 6


class WeightsError(SerError):
    """A weights file is not what the model expects. The caller gives another file."""

    exit_code = 7


class ExportError(SerError):
    """A model must not be published as it is. The engineer retrains it or mends the export."""

    exit_code = 8


class ServingError(SerError):
    """A server refused or was not there. The operator starts it; the caller mends the request."""

    exit_code = 9


class RefusalError(SerError):
    """A step of a pipeline did its work and says no. The owner of data or model reads why."""

    exit_code = 10


_REMEDIES = {
    "Make room there": (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    "Choose a place where you may read and write, or change its rights": (
        *(errno.EACCES, errno.EPERM, errno.EROFS),
    ),
    "Close other programs, or raise the limit (ulimit -n)": (errno.EMFILE, errno.ENFILE),
    "Check this path": (
        *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY),
        *(errno.ENAMETOOLONG, errno.ELOOP),
    ),
    "Check the disk or the network drive": (errno.EIO, errno.ESTALE, errno.ENXIO),
}


def system_error(error: OSError | MemoryError) -> SerError:
    """Returns the sentence for an error of the machine that no code of the project foresaw.

    Example:
        >>> print(system_error(OSError(errno.ENOSPC, "No space left on device", "runs/a.json")))
        runs/a.json: No space left on device. Make room there, and give the command again.
    """
    if isinstance(error, MemoryError):
        return SerError(
            "This machine has too little memory for the command. Close other programs or give it "
            "less at once, and give the command again."
        )
    reason = " ".join((error.strerror or str(error) or type(error).__name__).split())
    name = error.filename
    where = os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else "An open file"
    remedies = (remedy for remedy, codes in _REMEDIES.items() if error.errno in codes)
    remedy = next(remedies, "Mend the cause")
    return SerError(f"{where}: {reason.removesuffix('.')}. {remedy}, and give the command again.")


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Returns the sentence for an unknown `name`, with the nearest valid names first.

    Example:
        >>> unknown_name("corpus", "emobd", ["emodb", "ravdess"])
        "unknown corpus 'emobd'; did you mean 'emodb'? Known: emodb, ravdess."
    """
    names = sorted(known)
    near = difflib.get_close_matches(name.lower(), names, n=2, cutoff=0.5)
    hint = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else "."
    return f"unknown {kind} {name!r}{hint} Known: {', '.join(names)}."
