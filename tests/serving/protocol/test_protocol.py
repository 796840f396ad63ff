"""Every answer is TensorFlow Serving's, or differs for a reason that is written down."""

from collections import Counter

import pytest

from tests.serving.protocol import table
from tests.serving.protocol.cases import disagreements, read_cases, read_differences

LEAST = 190


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Every case with the answer of `ser serve` in a process of its own."""
    with table.serving(tmp_path_factory.mktemp("models")) as server:
        return list(table.ask_all(*server))


def test_there_are_enough_cases_and_each_has_a_name_and_a_known_reason():
    cases, reasons = read_cases(), read_differences()
    assert len(cases) >= LEAST
    names = Counter((case.group, case.name) for case in cases)
    assert [name for name, count in names.items() if count > 1] == []
    assert {case.differs for case in cases} - {""} == set(reasons)


@pytest.mark.parametrize(
    ("expected", "answer", "agree"),
    [
        ({"code": "OK"}, {"code": "OK", "message": ""}, True),
        ({"status": [400, 431]}, {"status": 431}, True),
        ({"status": 400, "error": "none"}, {"status": 400, "error": "x"}, False),
        ({"json": {"a": [1.0]}}, {"json": {"a": [1.0000001], "b": 2}}, True),
        ({"json": {"a": [1.0]}}, {"json": {"a": [1.0, 2.0]}}, False),
        ({"json": [float("nan"), None]}, {"json": [float("nan"), None]}, True),
        ({"json": [1.0]}, {"json": [True]}, False),
        ({"only_outputs": {"y": [1.0]}}, {"only_outputs": {"y": [1.0], "z": [2.0]}}, False),
        ({"statuses": [200, [404, None]]}, {"statuses": [200]}, True),
        ({"statuses": [200]}, {"statuses": [200, 200]}, False),
        ({"statuses": [], "closed": True}, {"statuses": [], "closed": False}, False),
    ],
)
def test_answers_are_told_apart(expected, answer, agree):
    assert (disagreements(expected, answer) == []) == agree


@pytest.mark.slow
def test_every_answer_is_tensorflow_servings_or_differs_for_a_reason(answers):
    wrong = {answered.case.name: answered.wrong for answered in answers if answered.wrong}
    assert wrong == {}


@pytest.mark.slow
def test_no_difference_is_listed_that_there_no_longer_is(answers):
    assert [answered.case.name for answered in answers if answered.outdated] == []


@pytest.mark.slow
def test_the_page_is_that_of_these_answers(answers):
    assert table.PAGE.read_text(encoding="utf-8") == table.page(answers)
