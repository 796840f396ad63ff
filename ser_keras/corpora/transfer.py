"""A download that continues where it stopped, for `pooch.retrieve(..., downloader=...)`."""

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

import requests
from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

from ser_keras.errors import CorpusError

# An interruption loses what came of the current block.
_BLOCK_BYTES = 2**14

_log = logging.getLogger(__name__)


class _InterruptedTransferError(Exception):
    """The connection ended early; what came is kept and the rest can be asked for."""


@dataclass(frozen=True)
class ResumingDownloader:
    """Fetches one file over HTTP into a `.part` file that survives an interruption.

    Args:
        part: Path. The partial file; the next call, in any process, continues from its end.
        max_bytes: int. Most bytes the file may have.
        progress: bool. Show a bar.
        attempts: int. Connections tried in one call.
        pause_s: float. Wait before the second attempt; doubled before each further one.
        timeout_s: float. Longest silence of the server.
    """

    part: Path
    max_bytes: int
    progress: bool = False
    attempts: int = 4
    pause_s: float = 1.0
    timeout_s: float = 60.0

    def __call__(self, url: str, output_file: str | os.PathLike, pooch: object = None) -> None:
        """Downloads `url` to `output_file`.

        Raises:
            CorpusError: the server refuses, the file is too large, or every attempt was cut short.
        """
        del pooch
        for attempt in range(self.attempts):
            if attempt:
                pause_s = self.pause_s * 2 ** (attempt - 1)
                sentence = "%s: cut short, %d bytes are kept. Asking again in %g s."
                _log.warning(sentence, url, self._have(), pause_s)
                time.sleep(pause_s)
            try:
                self._fetch(url)
                os.replace(self.part, output_file)
                return
            except (
                _InterruptedTransferError,
                requests.ConnectionError,
                requests.Timeout,
                requests.exceptions.ChunkedEncodingError,
            ) as error:
                reason = error
            except requests.RequestException as error:
                raise CorpusError(f"{url}: cannot be asked for ({error}). Correct it.") from error
        raise CorpusError(
            f"{url}: the transfer was cut short {self.attempts} times, {self._have()} bytes are "
            f"kept ({reason}). Check the network and run the command again to continue."
        )

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _fetch(self, url: str) -> None:
        start = self._have()
        # Compressed transfer would count other bytes than the file's.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        with requests.get(url, headers=headers, stream=True, timeout=self.timeout_s) as response:
            content_range = response.headers.get("Content-Range", "")
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                if content_range == f"bytes */{start}":
                    return
                self.part.unlink(missing_ok=True)
                raise _InterruptedTransferError("the partial file did not fit the server's file")
            if response.status_code not in (requests.codes.ok, requests.codes.partial_content):
                raise CorpusError(
                    f"{url}: the server answered {response.status_code} {response.reason}, "
                    "expected the archive. Try again later, or get it by hand."
                )
            if response.status_code == requests.codes.ok:
                start = 0
            elif not content_range.startswith(f"bytes {start}-"):
                self.part.unlink(missing_ok=True)
                raise _InterruptedTransferError("the server sent another part than asked")
            length = response.headers.get("Content-Length")
            total = start + int(length) if length else None
            self._receive(url, response, start, total)

    def _receive(
        self, url: str, response: requests.Response, start: int, total: int | None
    ) -> None:
        columns = (*Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn())
        with (
            self.part.open("ab" if start else "wb") as output,
            Progress(*columns, disable=not self.progress) as bar,
        ):
            task = bar.add_task("Downloading", total=total, completed=start)
            have = start
            self._check_size(url, max(have, total or 0))
            for block in response.iter_content(_BLOCK_BYTES):
                have += len(block)
                self._check_size(url, have)
                output.write(block)
                bar.advance(task, len(block))
        if total is not None and have != total:
            raise _InterruptedTransferError(f"{have} of {total} bytes came")

    def _check_size(self, url: str, size: int) -> None:
        if size > self.max_bytes:
            self.part.unlink(missing_ok=True)
            raise CorpusError(
                f"{url}: found {size} bytes or more, expected at most {self.max_bytes}. This is "
                "not the published archive; do not use it."
            )
