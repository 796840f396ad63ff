import json

from pipeline.statistics.anomalies import Anomaly, summary_of, write_anomalies
from tests.pipeline.statistics.example_statistics import example_rows, statistics

STATISTICS = statistics(example_rows())


def test_the_report_is_whole_and_the_same_every_time(tmp_path):
    anomalies = [Anomaly("dim", "3", "2", "Act.")]
    drift = {"mean_shift": 0.5}
    path = write_anomalies(tmp_path / "out", anomalies, STATISTICS, drift)
    first = path.read_bytes()
    assert json.loads(first) == {
        "data": STATISTICS["data"],
        "anomalies": [{"feature": "dim", "found": "3", "expected": "2", "action": "Act."}],
        "drift": drift,
    }
    assert write_anomalies(tmp_path / "out", anomalies, STATISTICS, drift).read_bytes() == first


def test_a_refusal_names_the_first_and_counts_the_others():
    anomalies = [Anomaly(f"f{n}", "3", "2", "Act.") for n in range(5)]
    assert summary_of(anomalies).startswith("5 anomalies. f0: found 3, expected 2. Act. f1:")
    assert summary_of(anomalies).endswith("And 2 more.")
    assert "more" not in summary_of(anomalies[:3])
