"""A chief and workers: what a kill of either leaves."""

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ser_keras.errors import ConfigError, SerError
from tuning.search import Search, begin_search, end_search, run_search
from tuning.space import Setting, Space
from tuning.trial import finished_records
from tuning.workers import Member, run_workers

RATE = Setting("optimizer.learning_rate", "why not", low=1e-5, high=1e-2, log=True)
DROPOUT = Setting("model.options.dropout", "why not", values=(0.0, 0.2, 0.5))
TRIALS = 20


def children(name):
    """Returns the process numbers of this process's children that write to `name`.log."""
    numbers = []
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            ours = f"PPid:\t{os.getpid()}\n" in path.read_text()
            if ours and os.readlink(path.parent / "fd" / "1").endswith(f"/{name}.log"):
                numbers.append(int(path.parent.name))
        except OSError:
            continue
    return numbers


@pytest.fixture(scope="module")
def asked(recipe, protocol):
    return Search(Space(recipe, (RATE, DROPOUT)), "random", TRIALS, (protocol.folds[0].name,))


@pytest.mark.slow
def test_chief_and_worker_killed_once_each_lose_and_double_nothing(
    asked, feature_set, protocol, tmp_path
):
    whole = run_search(asked, feature_set, protocol, tmp_path / "whole")
    output, killed = tmp_path / "killed", []

    def kill(name, after):
        while len(finished_records(output / "trials")) < after:
            time.sleep(0.05)
        for number in children(name):
            killed.append(name)
            os.kill(number, signal.SIGKILL)

    def kills():
        kill("worker-1", 3)
        kill("chief", 8)

    begin_search(asked, feature_set, protocol, output)
    killing = threading.Thread(target=kills, daemon=True)
    killing.start()
    run_workers(asked, feature_set.path, output, workers=2)
    killing.join(timeout=5)
    result = end_search(asked, feature_set, protocol, output, "")
    assert killed == ["worker-1", "chief"]
    values = [
        sorted((trial["ua"], str(trial["values"])) for trial in searched["trials"])
        for searched in (whole, result)
    ]
    assert len(result["trials"]) == len(set(values[1])) == TRIALS
    assert len({str(trial["values"]) for trial in result["trials"]}) == TRIALS
    best = {searched["best"]: searched for searched in (whole, result)}
    assert max(values[0])[0] == max(values[1])[0]
    assert len(best) == 1


@pytest.mark.slow
def test_a_search_whose_time_is_over_goes_on_later(asked, feature_set, protocol, tmp_path):
    few = replace(asked, trials=2)
    begin_search(few, feature_set, protocol, tmp_path)
    began = time.monotonic()
    run_workers(few, feature_set.path, tmp_path, workers=1, deadline_s=0.5)
    assert time.monotonic() - began < 20
    with pytest.raises(SerError, match="no trial has ended"):
        end_search(few, feature_set, protocol, tmp_path, "")
    seen = []
    run_workers(
        few,
        feature_set.path,
        tmp_path,
        workers=1,
        progress=lambda ended, best: seen.append(ended),
    )
    assert seen[-1] == 2


@pytest.mark.slow
def test_what_would_end_every_trial_ends_the_search(asked, feature_set, protocol, tmp_path):
    begin_search(asked, feature_set, protocol, tmp_path)
    wrong = replace(asked, changes=("batch.size=0",))
    with pytest.raises(SerError, match=r"(chief|worker-1) ended: .*batch"):
        run_workers(wrong, feature_set.path, tmp_path, workers=1)


@pytest.mark.parametrize(
    ("chief", "name", "message"),
    [("9000", "worker-1", "expected host:port"), ("here:9000", "my-chief", "no worker may have")],
)
def test_members_that_could_not_find_each_other_are_refused(chief, name, message):
    with pytest.raises(ConfigError, match=message):
        Member(chief, name)


def test_a_number_of_workers_below_one_is_refused(asked, feature_set, tmp_path):
    with pytest.raises(ConfigError, match="--workers 0"):
        run_workers(asked, feature_set.path, tmp_path, workers=0)
