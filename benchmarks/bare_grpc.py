"""What Python's gRPC takes of itself: a server that computes nothing, in a process of its own."""

import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc

# Run as a file, its folder comes first on the path, and the benchmark would be `serving`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from serving.server.server import TRANSPORT


def serve_waiting():
    """Serves calls that wait as long, and answer with as many bytes, as their first bytes say."""

    def answer(data, _):
        ends = time.perf_counter() + struct.unpack_from("d", data)[0]
        # A sleep ends late; the last millisecond is waited for awake.
        time.sleep(max(0.0, ends - time.perf_counter() - 0.001))
        while time.perf_counter() < ends:
            pass
        return bytes(int(struct.unpack_from("q", data, 8)[0]))

    server = grpc.server(ThreadPoolExecutor(16), options=TRANSPORT)
    handlers = {"Wait": grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("bare", handlers)])
    print(server.add_insecure_port("localhost:0"), flush=True)
    server.start()
    server.wait_for_termination()


@contextmanager
def bare_call():
    """Gives a function of (seconds to wait, size of the answer, bytes to send)."""
    command = [sys.executable, str(Path(__file__).resolve())]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        with grpc.insecure_channel(f"localhost:{process.stdout.readline().strip()}") as channel:
            call = channel.unary_unary("/bare/Wait")
            yield lambda wait_s, size, data: call(
                struct.pack("dq", wait_s, size) + data, timeout=60
            )
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    serve_waiting()
