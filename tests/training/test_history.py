import time

from ser_keras.training.history import Stopwatch


def test_an_interrupted_training_costs_what_both_its_runs_did():
    first = Stopwatch()
    started = time.process_time()
    while time.process_time() - started < 0.3:
        pass
    before = first.cost()
    assert before["cpu_seconds"] >= 0.3
    second = Stopwatch()
    second.resume(before)
    assert second.cost()["cpu_seconds"] >= before["cpu_seconds"]
    assert second.cost()["train_seconds"] >= before["train_seconds"]


def test_a_checkpoint_that_recorded_no_cost_adds_none():
    watch = Stopwatch()
    watch.resume({})
    assert watch.cost()["cpu_seconds"] < 1
