"""Measurements of the benchmarks as Markdown."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

SCALE_HOURS = 10_000


def describe_scale(result: Mapping[str, Any]) -> str:
    """Returns the measurements of `benchmarks/scale.py`, and what `SCALE_HOURS` would need."""
    runs = {(run["corpus"], run["workers"]): run for run in result["runs"]}
    small, large = runs["tenth", 1], runs["all", 1]
    rows = {
        "recordings": [f"{run['recordings']:,}" for run in (small, large)],
        "CPU seconds per hour of audio": [f"{seconds:.1f}" for seconds in result["cpu_s_per_hour"]],
        "MB of features per hour": [*map(_megabytes, result["shard_bytes_per_hour"])],
        "peak memory in MB, one process": [*map(_megabytes, result["peak_bytes"])],
        "the larger of two workers": [*map(_megabytes, result["worker_peak_bytes"])],
    }
    small_bytes, large_bytes = result["peak_bytes"]
    growth = (large_bytes - small_bytes) / (large["recordings"] - small["recordings"])
    recordings = SCALE_HOURS * large["recordings"] / large["hours"]
    core_hours = SCALE_HOURS * result["cpu_s_per_hour"][1] / 3600
    set_bytes = SCALE_HOURS * result["shard_bytes_per_hour"][1]
    return "\n".join(
        [
            f"| `{result['spec']}` | {small['hours']:.1f} hours | {large['hours']:.1f} hours |",
            "|---|---|---|",
            *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()),
            "",
            f"Without the start-up, two workers did {result['speedup']:.2f} times the work of one "
            f"in the same time; by the CPU seconds of the busier one, "
            f"{result['speedup_by_cpu']:.2f} times (load of the machine: "
            f"{result['load'][0]:.1f} before, up to {max(result['load']):.1f} in the runs). At "
            f"this rate {SCALE_HOURS:,} hours of such speech need {core_hours:.0f} core-hours "
            f"and {set_bytes / 1e9:,.0f} GB of disk for the features. Memory grows with the number "
            f"of recordings, not with their length: {growth / 1e3:.1f} kB for each, which would be "
            f"{growth * recordings / 1e9:.0f} GB for all {recordings / 1e6:.1f} million at once.",
        ]
    )


def describe_serving(result: Mapping[str, Any]) -> str:
    """Returns the measurements of `benchmarks/serving.py`."""
    lengths = list(next(iter(result["systems"].values()))["latency"])
    heads = [
        "model",
        *(f"{length} of audio" for length in lengths),
        "calls per second",
        "overload",
        "memory in MB",
        "ready in",
    ]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, row in result["systems"].items():
        (rate,) = (value for key, value in row.items() if key.startswith("calls_per_second"))
        overload = row["overload"]
        cells = [
            f"`{name}`",
            *(_latency(row["latency"][length]) for length in lengths),
            f"{rate['grpc']:.0f} ({100 * rate['share']:.0f} %)",
            f"{100 * overload['share_of_peak']:.0f} %, {overload['slowest_s']:.2f} s",
            f"{row['latency'][lengths[-1]]['memory_mb']}",
            f"{row['killed_and_answering_again_s']:.1f} s",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    streams = [row["live_streams"] for row in result["systems"].values() if "live_streams" in row]
    lines += [
        "",
        *(
            f"{stream['streams']} live streams at once, each with a window of speech every "
            f"{stream['hop_s']:g} s: {stream['answers']:,} answers, half of them within "
            f"{stream['late_p50_ms']:.0f} ms of the end of their window, 99 % within "
            f"{stream['late_p99_ms']:.0f} ms."
            for stream in streams
        ),
    ]
    return "\n".join(lines).rstrip()


def _latency(row: Mapping[str, Any]) -> str:
    grpc = row["grpc"]
    above = f"{row['above_ms']:+.1f}, {row['above_with_maps_ms']:+.1f}"
    return f"{grpc['p50_ms']:.1f}, {grpc['p99_ms']:.0f} ms ({above})"


def _megabytes(size_bytes: float) -> str:
    return f"{size_bytes / 1e6:.0f}"


# By the kind of result, which is also the name of the section.
BENCHMARKS: Mapping[str, Callable[[Mapping[str, Any]], str]] = MappingProxyType(
    {"scale": describe_scale, "serving": describe_serving}
)
