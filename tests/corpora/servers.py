"""A small HTTP server over loopback that can do what real ones do on bad days."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """What the server holds and how it misbehaves; and what it was asked.

    Args:
        content: the one file, at every address.
        cuts: after how many bytes each answer in turn breaks off.
        ranges: whether `Range` is understood.
        status: answer every request with this code, where set.
        wrong_start: answer with another part than asked.
        hide_length: leave out `Content-Length`, as for a file of unknown size.
    """

    content: bytes
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    status: int = 0
    wrong_start: bool = False
    hide_length: bool = False
    asked: list[str] = field(default_factory=list)


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    """Serves on a free port of 127.0.0.1 and gives the address of the file."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.headers.get("Range", "")
            behaviour.asked.append(asked)
            answer(self, behaviour, asked)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/archive.zip"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answer(handler: BaseHTTPRequestHandler, behaviour: Behaviour, asked: str) -> None:
    size = len(behaviour.content)
    start = int(asked[len("bytes=") : -1]) if asked and behaviour.ranges else 0
    if behaviour.status or (start and start >= size):
        handler.send_response(behaviour.status or 416)
        handler.send_header("Content-Range", f"bytes */{size}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    start -= bool(behaviour.wrong_start and start)
    handler.send_response(206 if asked and behaviour.ranges else 200)
    if asked and behaviour.ranges:
        handler.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
    if not behaviour.hide_length:
        handler.send_header("Content-Length", str(size - start))
    handler.end_headers()
    cut = behaviour.cuts.pop(0) if behaviour.cuts else size
    handler.wfile.write(behaviour.content[start : start + cut])
