import numpy as np
import pytest

from tuning.report import importance, table, write_report


def result_of(count):
    rng = np.random.default_rng(0)
    trials = []
    for number in range(count):
        values = {"a.rate": float(rng.uniform(1, 3)), "b": ["x", "y"][number % 2]}
        trials.append(
            {
                "trial": f"{number:02d}",
                "status": "completed" if number else "pruned",
                "values": values,
                "ua": 0.2 * values["a.rate"],
                "epochs": 3,
                "seconds": 90.0,
                "folds": [{}, {}] if number else [{}],
            }
        )
    best = max(trials[1:], key=lambda trial: trial["ua"])["trial"]
    return {
        "trials": trials,
        "best": best,
        "settings": {
            "a.rate": {"low": 1.0, "high": 3.0, "log": False, "why": "<matters>"},
            "b": {"values": ["x", "y"], "why": "does not"},
        },
        "model": "moma",
        "dataset": "d",
        "strategy": "random",
        "seed": 0,
        "recipe": "r",
        "folds": ["one", "two"],
        "protocol": {"name": "p"},
        "command": "ser tune",
    }


def test_importance_names_the_setting_that_matters():
    shares = importance(result_of(24))
    assert list(shares) == ["a.rate", "b"]
    assert shares["a.rate"] > 0.9
    assert importance(result_of(5)) == {}


def test_table_has_the_best_first_and_says_what_was_stopped():
    lines = table(result_of(4)).splitlines()
    scores = [float(line.split("|")[2]) for line in lines[2:]]
    assert scores == sorted(scores, reverse=True)
    assert sum("stopped" in line for line in lines) == 1
    assert len(table(result_of(4), most=2).splitlines()) == 4


def test_report_is_one_file_and_the_same_twice(tmp_path):
    pytest.importorskip("matplotlib")
    paths = [write_report(result_of(9), tmp_path / name) for name in "ab"]
    text = paths[0].read_text()
    assert text == paths[1].read_text()
    assert "<svg" in text
    assert "&lt;matters&gt;" in text
    assert "src=" not in text
