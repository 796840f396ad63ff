"""What a file holds, told from its first bytes and never from its name."""

from dataclasses import dataclass

from ser_keras.errors import AudioError

HEAD_BYTES = 16
EXPECTED = "WAV, FLAC, Ogg or MP3"

# What libsndfile opens and what people have; a file of these that it cannot open is damaged.
_OF_LIBSNDFILE = {b"fLaC", b"OggS", b"RF64", b"FORM", b"caff", b".snd", b"riff"}
_NO_AUDIO = {
    b"RIFF": "RIFF that is not WAVE",
    b"PK\x03\x04": "a ZIP archive",
    b"%PDF": "a PDF document",
    b"<": "a web page or XML",
}


@dataclass(frozen=True)
class ForeignFormat:
    """A format that libsndfile does not know and ffmpeg decodes.

    Args:
        name: str. Its name, and who writes it.
        demuxer: str. ffmpeg's name for it.
        ending: str. How such files are usually called.
    """

    name: str
    demuxer: str
    ending: str


_MP4 = ForeignFormat("MP4 content (as of phones)", "mov", ".m4a")
_AAC = ForeignFormat("AAC content", "aac", ".aac")
_FOREIGN = {
    b"\x1a\x45\xdf\xa3": ForeignFormat(
        "Matroska or WebM content (as of browsers)", "matroska", ".webm"
    ),
    b"#!AMR": ForeignFormat("AMR content (as of phones)", "amr", ".amr"),
    b"\x30\x26\xb2\x75": ForeignFormat("Windows Media content", "asf", ".wma"),
    # Layer 0, which no MPEG audio has, tells AAC from MP3.
    **dict.fromkeys((b"\xff\xf0", b"\xff\xf1", b"\xff\xf8", b"\xff\xf9"), _AAC),
}


def foreign_format(head: bytes) -> ForeignFormat | None:
    """Returns the format of a file that needs ffmpeg, or None.

    Args:
        head: its first `HEAD_BYTES` bytes.
    """
    if head[4:8] == b"ftyp":
        return _MP4
    return next((kind for magic, kind in _FOREIGN.items() if head.startswith(magic)), None)


def is_of_libsndfile(head: bytes) -> bool:
    """Tells whether a file begins like one of the common formats that libsndfile opens."""
    if head[:4] in (b"RIFF", b"RIFX"):
        return head[8:12] == b"WAVE"
    return head[:4] in _OF_LIBSNDFILE or head[:3] == b"ID3"


def check_raw(head: bytes, where: str) -> None:
    """Refuses a stream of raw samples that begins like the file of a recording.

    Args:
        head: its first bytes, as far as they have come.
        where: name of the stream, for the error.

    Raises:
        AudioError: it is a file; says how its samples are piped.
    """
    kind = foreign_format(head)
    is_foreign = kind is not None and kind is not _AAC  # two bytes, which samples have as well
    if is_foreign or is_of_libsndfile(head) or head[:4] in (b"RIFF", b"RIFX"):
        raise AudioError(
            f"{where}: found the file of a recording (it begins with {head[:4]!r}), expected raw "
            "16-bit mono samples. Give the file's name, or pipe its samples: ffmpeg -i FILE -f "
            "s16le -ac 1 -ar 16000 - | ser predict -",
            "not_audio",
        )


def no_audio(head: bytes, where: str) -> AudioError:
    """Returns the error for content that nothing here decodes."""
    names = (name for magic, name in _NO_AUDIO.items() if head.startswith(magic))
    container = next(names, None)
    content = f"{container} content" if container else f"content that starts with {head[:8]!r}"
    return AudioError(
        f"{where}: found {content}, expected {EXPECTED} (the name's ending does not count). "
        "Convert it to WAV or FLAC.",
        "not_audio",
    )


def check_not_empty(head: bytes, where: str) -> None:
    """Refuses a file without a byte."""
    if not head:
        raise AudioError(
            f"{where}: found an empty file (0 bytes), expected {EXPECTED}. Copy it again.",
            "empty",
        )
