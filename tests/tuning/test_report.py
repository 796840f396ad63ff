import json

import numpy as np
import pytest

from tuning.report import describe_test, importance, keep, table, write_report


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
        "trial_epochs": None,
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


TEST = {
    "recipe": {"ua": 0.5, "ua_interval": [0.4, 0.6], "speakers": 5},
    "best": {"ua": 0.55, "ua_interval": [0.45, 0.65], "speakers": 5},
    "difference": [0.05, -0.01, 0.11],
}


def test_kept_results_are_the_report_s_own_and_say_what_the_test_said(tmp_path):
    pytest.importorskip("matplotlib")
    result = result_of(9) | {"test": TEST}
    (tmp_path / "best.yaml").write_text("epochs: 3")
    page = write_report(result, tmp_path).read_text()
    sentence = describe_test(result)
    assert "50.0 (40.0 – 60.0)" in sentence
    assert "scored once, 5 speakers: " in sentence
    assert "difference +5.0 (-1.0 – +11.0)." in sentence
    assert sentence in page
    alone = TEST["best"] | {"speakers": 1}
    one = describe_test(result | {"test": TEST | {"best": alone, "difference": [-1e-9, -1.0, 1.0]}})
    assert (
        "one speaker: UA of recipe 50.0 (40.0 – 60.0), best 55.0 (–); difference +0.0 (–)." in one
    )
    kept = keep(result, tmp_path, tmp_path / "results")
    assert kept == tmp_path / "results" / "searches" / "d" / "p" / "moma.json"
    assert json.loads(kept.read_text()) == result
    assert kept.with_name("moma-best.yaml").read_text() == "epochs: 3"
    assert kept.with_suffix(".svg").read_bytes() == (tmp_path / "search.svg").read_bytes()
