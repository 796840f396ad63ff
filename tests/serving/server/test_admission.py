import threading
import time

import grpc
import pytest

from serving.server.admission import AdmissionControl
from serving.server.errors import RequestError


def trained(seconds=0.05):
    """An admission control that has measured one request of 100 bytes."""
    admission = AdmissionControl(slots=1)
    with admission.turn("m", 100, None):
        time.sleep(seconds)
    return admission


def refused(admission, size, timeout_s):
    try:
        with admission.turn("m", size, timeout_s):
            return False
    except RequestError:
        return True


def test_a_request_that_cannot_be_answered_in_time_is_refused():
    admission = trained()
    assert refused(admission, 100, timeout_s=0.02)
    assert not refused(admission, 100, timeout_s=1.0)
    assert not refused(admission, 100, timeout_s=None)
    with pytest.raises(RequestError, match=r"late: 0\.0 s are left") as error:
        admission.turn("m", 120, 0.01).__enter__()
    assert error.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize(("kind", "size"), [("another", 100), ("m", 10), ("m", 10**6)])
def test_other_kinds_and_sizes_are_not_judged_by_it(kind, size):
    with trained().turn(kind, size, timeout_s=0.02) as left_s:
        assert 0 < left_s <= 0.02


def test_one_slow_answer_does_not_shut_out_all_later_requests(monkeypatch):
    admission = trained()
    assert refused(admission, 100, timeout_s=0.02)
    clock = time.perf_counter
    monkeypatch.setattr(time, "perf_counter", lambda: clock() + 60)
    assert not refused(admission, 100, timeout_s=0.02)


def test_a_request_that_had_to_wait_needs_more_time():
    admission, release = trained(), threading.Event()

    def occupy(entered):
        with admission.turn("other", 1, None):
            entered.set()
            release.wait(10)

    entered = threading.Event()
    thread = threading.Thread(target=occupy, args=(entered,))
    thread.start()
    entered.wait(10)
    threading.Timer(0.02, release.set).start()
    with pytest.raises(RequestError, match="busy: ") as error:
        admission.turn("m", 100, 0.08).__enter__()
    assert error.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    thread.join()
    assert not refused(admission, 100, timeout_s=0.08)


def test_a_request_behind_too_many_is_refused_at_once():
    admission, release = trained(0.2), threading.Event()

    def take():
        with admission.turn("m", 100, None):
            release.wait(10)

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    while admission._admitted < len(threads):
        time.sleep(0.001)
    began = time.perf_counter()
    with pytest.raises(RequestError, match="busy: ") as error:  # 0.6 s ahead, 0.3 s for itself
        admission.turn("m", 100, 0.8).__enter__()
    assert time.perf_counter() - began < 0.4
    assert error.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    with pytest.raises(RequestError, match=r"busy: 0\.0 s are left"):
        admission.turn("m", 100, -1.0).__enter__()
    release.set()
    for thread in threads:
        thread.join()
    assert not refused(admission, 100, timeout_s=0.8)


def test_slots_bound_what_runs_at_once_and_waiting_costs_time():
    admission, entered, release = AdmissionControl(slots=1), threading.Event(), threading.Event()

    def occupy():
        with admission.turn("m", 1, None):
            entered.set()
            release.wait(10)

    thread = threading.Thread(target=occupy)
    thread.start()
    entered.wait(10)
    with (
        pytest.raises(RequestError, match="all processors are taken"),
        admission.turn("m", 1, 0.05),
    ):
        pass
    release.set()
    thread.join()
    with admission.turn("other", 1, timeout_s=5.0) as left_s:
        assert 4 < left_s <= 5.0


@pytest.mark.parametrize(("usual_s", "at_once"), [(0.002, 2), (0.05, 1)])
def test_short_requests_fill_the_gaps_between_each_other(usual_s, at_once):
    admission, release = trained(usual_s), threading.Event()

    def take():
        with admission.turn("m", 100, None):
            release.wait(10)

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    while admission._admitted < len(threads) or admission._running < at_once:
        time.sleep(0.001)
    assert admission._running == at_once
    release.set()
    for thread in threads:
        thread.join()
    assert admission._running == 0


def test_a_slot_is_free_again_after_an_error():
    admission = AdmissionControl(slots=1)
    for _ in range(3):
        with pytest.raises(RequestError, match="no"), admission.turn("m", 1, 1.0):
            raise RequestError.invalid("no")
    assert not refused(admission, 1, timeout_s=1.0)


def test_a_request_that_timed_out_counts_as_slow():
    admission = AdmissionControl(slots=1)

    def give_up():
        with admission.turn("m", 100, 0.05):
            time.sleep(0.05)
            raise RequestError(grpc.StatusCode.DEADLINE_EXCEEDED, "late")

    with pytest.raises(RequestError, match="late"):
        give_up()
    assert refused(admission, 100, timeout_s=0.05)
