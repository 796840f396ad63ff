from ser_keras.report.benchmarks import describe_scale


def test_what_a_large_corpus_needs_follows_from_what_was_measured():
    small = {"corpus": "tenth", "workers": 1, "recordings": 1000, "hours": 1.0}
    large = {"corpus": "all", "workers": 1, "recordings": 11_000, "hours": 11.0}
    text = describe_scale(
        {
            "spec": "logmel40",
            "load": [0.5, 2.0],
            "speedup": 1.8,
            "speedup_by_cpu": 1.9,
            "cpu_s_per_hour": [4.0, 3.6],
            "shard_bytes_per_hour": [5e7, 5e7],
            "peak_bytes": [1e8, 1.5e8],
            "worker_peak_bytes": [1e8, 1e8],
            "runs": [small, large],
        }
    )
    assert "two workers did 1.80 times the work" in text
    assert "need 10 core-hours and 500 GB of disk" in text
    assert "5.0 kB for each, which would be 50 GB for all 10.0 million at once" in text
