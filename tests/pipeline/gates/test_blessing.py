import pytest

from pipeline.gates.blessing import bless, reasons_against
from ser_keras.errors import SchemaError


def test_a_verdict_is_one_file_and_the_last_one_counts(tmp_path):
    bless(tmp_path / "out", [])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["BLESSED"]
    assert reasons_against(tmp_path / "out") == []
    bless(tmp_path / "out", ["too slow", "too loud"])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["NOT_BLESSED"]
    assert reasons_against(tmp_path / "out") == ["too slow", "too loud"]
    bless(tmp_path / "out", [])
    assert reasons_against(tmp_path / "out") == []


@pytest.mark.parametrize("names", [[], ["BLESSED", "NOT_BLESSED"]])
def test_no_verdict_and_two_verdicts_are_refused(tmp_path, names):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(SchemaError, match="expected either BLESSED or NOT_BLESSED"):
        reasons_against(tmp_path)


def test_a_refusal_without_a_reason_is_a_refusal(tmp_path):
    (tmp_path / "NOT_BLESSED").touch()
    assert reasons_against(tmp_path)
