import threading
import time

import grpc
import pytest

from serving.server.admission import Pace
from serving.server.errors import RequestError


def learnt(seconds=0.05):
    """A pace that has seen one request of 100 bytes."""
    pace = Pace(slots=1)
    with pace.turn("m", 100, None):
        time.sleep(seconds)
    return pace


def refused(pace, size, timeout_s):
    try:
        with pace.turn("m", size, timeout_s):
            return False
    except RequestError:
        return True


def test_what_cannot_be_answered_in_time_is_refused():
    pace = learnt()
    assert refused(pace, 100, timeout_s=0.02)
    assert not refused(pace, 100, timeout_s=1.0)
    assert not refused(pace, 100, timeout_s=None)
    with pytest.raises(RequestError, match=r"late: 0\.0 s are left") as error:
        pace.turn("m", 120, 0.01).__enter__()
    assert error.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize(("kind", "size"), [("another", 100), ("m", 10), ("m", 10**6)])
def test_other_kinds_and_sizes_are_not_judged_by_it(kind, size):
    with learnt().turn(kind, size, timeout_s=0.02) as left_s:
        assert 0 < left_s <= 0.02


def test_one_slow_answer_does_not_shut_out_all_that_follow(monkeypatch):
    pace = learnt()
    assert refused(pace, 100, timeout_s=0.02)
    clock = time.perf_counter
    monkeypatch.setattr(time, "perf_counter", lambda: clock() + 60)
    assert not refused(pace, 100, timeout_s=0.02)


def test_one_that_had_to_wait_needs_more_time():
    pace, leave = learnt(), threading.Event()

    def occupy(entered):
        with pace.turn("other", 1, None):
            entered.set()
            leave.wait(10)

    entered = threading.Event()
    thread = threading.Thread(target=occupy, args=(entered,))
    thread.start()
    entered.wait(10)
    threading.Timer(0.02, leave.set).start()
    with pytest.raises(RequestError, match="busy: ") as error:
        pace.turn("m", 100, 0.08).__enter__()
    assert error.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    thread.join()
    assert not refused(pace, 100, timeout_s=0.08)


def test_one_behind_too_many_is_refused_at_once():
    pace, leave = learnt(0.2), threading.Event()

    def take():
        with pace.turn("m", 100, None):
            leave.wait(10)

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    while pace._admitted < len(threads):
        time.sleep(0.001)
    asked = time.perf_counter()
    with pytest.raises(RequestError, match="busy: ") as error:  # 0.6 s ahead, 0.3 s for itself
        pace.turn("m", 100, 0.8).__enter__()
    assert time.perf_counter() - asked < 0.4
    assert error.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    with pytest.raises(RequestError, match=r"busy: 0\.0 s are left"):
        pace.turn("m", 100, -1.0).__enter__()
    leave.set()
    for thread in threads:
        thread.join()
    assert not refused(pace, 100, timeout_s=0.8)


def test_slots_bound_what_runs_at_once_and_waiting_costs_time():
    pace, entered, leave = Pace(slots=1), threading.Event(), threading.Event()

    def occupy():
        with pace.turn("m", 1, None):
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=occupy)
    thread.start()
    entered.wait(10)
    with pytest.raises(RequestError, match="all processors are taken"), pace.turn("m", 1, 0.05):
        pass
    leave.set()
    thread.join()
    with pace.turn("other", 1, timeout_s=5.0) as left_s:
        assert 4 < left_s <= 5.0


@pytest.mark.parametrize(("usual_s", "at_once"), [(0.002, 2), (0.05, 1)])
def test_short_requests_fill_the_gaps_between_each_other(usual_s, at_once):
    pace, leave = learnt(usual_s), threading.Event()

    def take():
        with pace.turn("m", 100, None):
            leave.wait(10)

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    while pace._admitted < len(threads) or pace._running < at_once:
        time.sleep(0.001)
    assert pace._running == at_once
    leave.set()
    for thread in threads:
        thread.join()
    assert pace._running == 0


def test_a_slot_is_free_again_after_an_error():
    pace = Pace(slots=1)
    for _ in range(3):
        with pytest.raises(RequestError, match="no"), pace.turn("m", 1, 1.0):
            raise RequestError.invalid("no")
    assert not refused(pace, 1, timeout_s=1.0)


def test_what_was_given_up_counts_as_slow():
    pace = Pace(slots=1)

    def give_up():
        with pace.turn("m", 100, 0.05):
            time.sleep(0.05)
            raise RequestError(grpc.StatusCode.DEADLINE_EXCEEDED, "late")

    with pytest.raises(RequestError, match="late"):
        give_up()
    assert refused(pace, 100, timeout_s=0.05)
