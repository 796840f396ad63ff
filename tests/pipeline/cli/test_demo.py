import pytest

from pipeline.cli.demo import demo
from ser_keras.config import load_config


@pytest.mark.slow
def test_the_demonstration_of_a_search_finds_the_planted_settings(tmp_path):
    demo(tmp_path, tune=True)
    best = load_config(tmp_path / "search" / "best.yaml")
    assert (best.optimizer.learning_rate, best.augment.noise) == (2e-3, 0.0)
    assert "<svg" in (tmp_path / "search" / "search.html").read_text()
