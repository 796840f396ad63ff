"""Where a request begins and ends: what waitress accepts beyond RFC 9112, and is refused here."""

import re

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import BadRequest

MAX_HEADER_BYTES = 2**14
# Of the size of a chunk with its extensions.
MAX_CHUNK_LINE_BYTES = 1024
_TRANSFER_ENCODING = re.compile(rb"^transfer-encoding:[ \t]*(.*?)[ \t]*\r?$", re.IGNORECASE | re.M)


class StrictParser(HTTPRequestParser):
    """Reads one request; one whose length is ambiguous ends the connection.

    waitress refuses lengths that are not digits, other encodings than `chunked` and headers that
    are too long. It would accept a length beside `chunked`, `chunked` twice or in HTTP/1.0, unknown
    versions, no Host, and lines of chunks without a limit.
    """

    # Of waitress, which has no types.
    completed: bool

    def received(self, data: bytes) -> int:
        """Takes data from the connection and returns how many bytes belong to this request."""
        consumed: int = super().received(data)
        if self.chunked and not self.completed:
            lines = self.body_rcv
            if len(lines.control_line) > MAX_CHUNK_LINE_BYTES or (
                len(lines.trailer) > MAX_HEADER_BYTES
            ):
                self.error = BadRequest("A line of the chunked body is too long.")
                self.completed = True
        if self.completed:
            # Otherwise waitress would ask for the body of a request that it refuses.
            self.expect_continue = False
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        """Reads the first line and the headers.

        Raises:
            ParsingError: they are malformed, or leave open how long the body is.
        """
        try:
            super().parse_header(header_plus)
        except ValueError as error:
            # A length of thousands of digits, or a target that is no URI.
            raise ParsingError(f"The header cannot be read: {error}") from None
        if self.version not in ("1.0", "1.1"):
            raise ParsingError("The HTTP version is unknown, expected HTTP/1.1 or HTTP/1.0.")
        encodings = [value.lower() for value in _TRANSFER_ENCODING.findall(header_plus)]
        if encodings and (
            encodings != [b"chunked"] or "CONTENT_LENGTH" in self.headers or self.version == "1.0"
        ):
            raise ParsingError(
                "Transfer-Encoding must be chunked, once, without Content-Length, in HTTP/1.1."
            )
        host = self.headers.get("HOST", "" if self.version == "1.1" else "none")
        if not host or "," in host:
            raise ParsingError("Expected one Host header.")
        if self.chunked:
            # Whatever follows the chunks is not read, so it cannot be taken for a request.
            self.headers["CONNECTION"] = "close"
