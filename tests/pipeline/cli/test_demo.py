from pathlib import Path

import pytest

from pipeline.cli.demo import _print_next, demo
from ser_keras.config import load_config


@pytest.mark.slow
def test_the_demonstration_of_a_search_finds_the_planted_settings(tmp_path):
    demo(tmp_path, tune=True)
    best = load_config(tmp_path / "search" / "best.yaml")
    assert (best.optimizer.learning_rate, best.augment.noise) == (2e-3, 0.0)
    assert "<svg" in (tmp_path / "search" / "search.html").read_text()


def test_the_demo_ends_with_commands_that_exist(ser, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    recording = Path("demo/corpus/s01/s01_angry_00.wav")
    recording.parent.mkdir(parents=True)
    recording.touch()
    _print_next(Path("demo"), "speaker-s01")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("ser ")]
    assert len(lines) == 3
    assert lines[2] == f"ser predict {recording} --model models/demo"
    for line in lines:
        _, verb, *words = line.split()
        _, out, _ = ser(verb, "--help")
        for option in (word for word in words if word.startswith("--")):
            assert option in out


@pytest.mark.slow
def test_the_demo_prints_its_score_and_what_it_is_worth(ser, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    code, out, _ = ser("demo")
    assert code == 0
    assert "alexnet_fcn, ours, 3 of 6 folds" in out
    assert "says nothing about real speech" in out
    code, _, _ = ser("report", "demo/run")
    assert code == 0
    assert Path("report/report.html").is_file()
