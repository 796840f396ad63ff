"""The text of a table that somebody else saved: its encoding is found out, and nothing is guessed.

UTF-8 and UTF-16 say what they are. What is neither may be Windows-1252, in which Excel saves "CSV"
in Western Europe; that is accepted only where the letters make words of a Western language, because
almost any bytes can be read as Windows-1252.
"""

import re
from pathlib import Path

from ser_keras.errors import CorpusError

MAX_BYTES = 512 * 2**20

# The longer marks first: that of UTF-32 begins with that of UTF-16.
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_OTHER_FILES = (
    (b"PK\x03\x04", "a workbook (Excel or LibreOffice)"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"PAR1", "a Parquet file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"RIFF", "a recording"),
    (b"fLaC", "a recording"),
)
_SAMPLED_BYTES = 2048
# Signs that stand where Central European encodings have letters, beside a letter; a Spanish
# question without its end; three letters with accents in a row; a capital of such within a word.
_NOT_WESTERN = re.compile(
    r"[^\W\d_][£¥¦¯³¹¼½¾¿º]|[£¥¦¯³¹¼½¾][^\W\d_]|¿[a-z]+(?=[^?\r\n]*$)|[^\x00-\x7f]{3}"
    r"|[^\W\d_](?=[À-ÞŠŒŽŸ])[^\W\d_][a-z]",
    re.MULTILINE,
)


def table_text(table: Path) -> str:
    """Returns the text of a table, without a byte order mark.

    Raises:
        CorpusError: too large, no text at all, or text in an encoding that cannot be told.
    """
    size = table.stat().st_size
    if size > MAX_BYTES:
        raise CorpusError(
            f"{table}: found {size} bytes, expected at most {MAX_BYTES}. Split the table."
        )
    data = table.read_bytes()
    for beginning, what in _OTHER_FILES:
        if data.startswith(beginning):
            raise CorpusError(
                f"{table}: found {what}, expected a table as text. Save it as CSV in UTF-8."
            )
    if data.lstrip()[:1] in (b"{", b"["):
        raise CorpusError(f"{table}: found JSON, expected a table. Save it as CSV in UTF-8.")
    encoding = encoding_of(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise CorpusError(
                f"{table}: found {encoding.removesuffix('-sig').upper()} that is damaged at byte "
                f"{error.start}. Save the table again, as UTF-8."
            ) from None
        return _western_text(data, table, error.start)


def encoding_of(data: bytes) -> str:
    """Returns the Unicode encoding that text is in by its byte order mark or its zeros.

    Example:
        >>> encoding_of("% neu".encode("utf-16-le")), encoding_of(b"% neu")
        ('utf-16-le', 'utf-8')
    """
    return next((name for mark, name in _MARKS if data.startswith(mark)), _unmarked(data))


def _unmarked(data: bytes) -> str:
    """Returns the encoding of text without a mark: in UTF-16 every other byte of a header is 0."""
    sample = data[:_SAMPLED_BYTES]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if odd > len(sample) / 4 > 4 * even:
        return "utf-16-le"
    if even > len(sample) / 4 > 4 * odd:
        return "utf-16-be"
    return "utf-8"


def _western_text(data: bytes, table: Path, start: int) -> str:
    """Returns text in Windows-1252; `start` is the first byte that is not UTF-8."""
    row = data.count(b"\n", 0, start) + 1
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise CorpusError(
            f"{table}:{row}: found the byte {data[error.start]:#04x}, which is neither UTF-8 nor "
            "Windows-1252. Save the table as UTF-8."
        ) from None
    strange = _NOT_WESTERN.search(text)
    if strange:
        raise CorpusError(
            f"{table}:{row}: found the byte {data[start]:#04x}, which is not UTF-8, and "
            f"{strange[0]!r}, which makes no word in Windows-1252. Save the table as UTF-8."
        )
    return text
