"""Counts and latencies of a server, in Prometheus' text format and under TensorFlow's names."""

import threading
import time
from bisect import bisect_left
from collections.abc import Callable

METRICS_PATH = "/monitoring/prometheus/metrics"
BUCKETS_US = (500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000)
COUNT = ":tensorflow:serving:request_count"
LATENCY = ":tensorflow:serving:request_latency"


class Metrics:
    """Thread-safe counters of requests by model, method and status.

    Args:
        log: called with a line for each request; None keeps no log.

    Example:
        >>> metrics = Metrics()
        >>> metrics.count("moma", "predict", "OK", seconds=0.0012)
        >>> print(metrics.text().splitlines()[1])
        :tensorflow:serving:request_count{model_name="moma",entrypoint="predict",status="OK"} 1
    """

    def __init__(self, log: Callable[[str], None] | None = None) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str, str], int] = {}
        self._latencies: dict[tuple[str, str], list[float]] = {}

    def count(
        self,
        model: str,
        method: str,
        status: str,
        seconds: float,
        client: str = "",
        problem: str = "",
    ) -> None:
        """Counts one request. Models that do not exist are counted together.

        Args:
            model: str. As the request names it.
            method: str.
            status: str. Name of gRPC's code.
            seconds: float. Until it was answered.
            client: str. Address, for the log alone.
            problem: str. Why it was refused, for the log alone.
        """
        method = method.lstrip("_")
        if self._log is not None:
            when = time.strftime("%Y-%m-%d %H:%M:%S")
            name, reason = printable(model or "-", 60), printable(f" {problem}".rstrip(), 300)
            line = f"{when} {client} {method} {name} {status} {1000 * seconds:.1f} ms{reason}"
            self._log(line)
        model = model if status != "NOT_FOUND" else ""
        with self._lock:
            key = (model, method, status)
            self._counts[key] = self._counts.get(key, 0) + 1
            row = self._latencies.setdefault((model, method), [0.0] * (len(BUCKETS_US) + 2))
            row[bisect_left(BUCKETS_US, 1e6 * seconds)] += 1
            row[-1] += 1e6 * seconds

    def text(self) -> str:
        """Returns the text of `/monitoring/prometheus/metrics`; latencies in microseconds."""
        with self._lock:
            lines = [f"# TYPE {COUNT} counter"]
            for (model, method, status), value in sorted(self._counts.items()):
                labels = f'model_name="{_quoted(model)}",entrypoint="{method}",status="{status}"'
                lines.append(f"{COUNT}{{{labels}}} {value}")
            lines.append(f"# TYPE {LATENCY} histogram")
            for (model, method), row in sorted(self._latencies.items()):
                labels = f'model_name="{_quoted(model)}",entrypoint="{method}"'
                total = 0.0
                for limit, count in zip((*BUCKETS_US, "+Inf"), row, strict=False):
                    total += count
                    lines.append(f'{LATENCY}_bucket{{{labels},le="{limit}"}} {total:g}')
                lines.append(f"{LATENCY}_sum{{{labels}}} {row[-1]:g}")
                lines.append(f"{LATENCY}_count{{{labels}}} {total:g}")
        return "\n".join(lines) + "\n"


def printable(text: str, most: int) -> str:
    r"""Returns a client's text for a terminal: no control characters, and not too long.

    Example:
        >>> printable("moma\x1b[2J", 60), printable("x" * 9, 5)
        ('moma?[2J', 'xx...')
    """
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _quoted(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
