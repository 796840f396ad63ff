"""Counts and latencies of a server, in Prometheus' text format and under TensorFlow's names."""

import threading
from bisect import bisect_left
from collections.abc import Callable

from serving.server.requests.record import RequestLog, RequestRecord
from serving.server.requests.text import printable as printable

METRICS_PATH = "/monitoring/prometheus/metrics"
BUCKETS_US = (500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000)
COUNT = ":tensorflow:serving:request_count"
LATENCY = ":tensorflow:serving:request_latency"
# 1 while new versions are looked for, else 0. TensorFlow Serving has nothing of the kind.
WATCHER_ALIVE = ":ser:serve:model_watcher_alive"


class Metrics:
    """Thread-safe counters of requests by model, method and status.

    Args:
        is_model: tells whether a name is that of a model. All other names that clients think of
            are counted together, or they would fill the memory.
        log: has the line of each request; None keeps no log.

    Attributes:
        gauges: what is measured when it is asked for, by name.

    Example:
        >>> metrics = Metrics({"moma"}.__contains__)
        >>> metrics.count("moma", "predict", "OK", seconds=0.0012)
        >>> print(metrics.text().splitlines()[1])
        :tensorflow:serving:request_count{model_name="moma",entrypoint="predict",status="OK"} 1
    """

    def __init__(self, is_model: Callable[[str], bool], log: RequestLog | None = None) -> None:
        self._is_model, self._log = is_model, log
        self.gauges: dict[str, Callable[[], float]] = {}
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str, str], int] = {}
        self._latencies: dict[tuple[str, str], list[float]] = {}

    def add(self, record: RequestRecord) -> None:
        """Counts and logs one request."""
        if self._log is not None:
            self._log.add(record)
        model = record.model if self._is_model(record.model) else ""
        with self._lock:
            key = (model, record.method, record.code)
            self._counts[key] = self._counts.get(key, 0) + 1
            new = [0.0] * (len(BUCKETS_US) + 2)
            row = self._latencies.setdefault((model, record.method), new)
            row[bisect_left(BUCKETS_US, 1e6 * record.seconds)] += 1
            row[-1] += 1e6 * record.seconds

    def count(
        self,
        model: str,
        method: str,
        status: str,
        seconds: float,
        client: str = "",
        problem: str = "",
    ) -> None:
        """Counts and logs a request of which no more is known.

        Args:
            model: str. As the request names it.
            method: str.
            status: str. Name of gRPC's code.
            seconds: float. Until it was answered.
            client: str. Address.
            problem: str. Why it was refused.
        """
        self.add(
            RequestRecord(method, client, model, code=status, seconds=seconds, problem=problem)
        )

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
        for name, measure in sorted(self.gauges.items()):
            lines += [f"# TYPE {name} gauge", f"{name} {measure():g}"]
        return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
