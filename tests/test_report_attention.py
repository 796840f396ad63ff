"""What attention did over a corpus, in words, beside what the papers print."""

import json
from pathlib import Path

from ser_keras.models.emergent_attention import PUBLISHED, compare_claims
from ser_keras.plots import sampled_input
from ser_keras.report_attention import describe_sampled
from ser_keras.training.sampled import plain_findings

ROOT = Path(__file__).resolve().parents[1]


def sampled_of_ravdess():
    """The committed result of RAVDESS, with the paper's findings beside it."""
    path = ROOT / "results" / "sampled-ravdess-mfcc40-windows.json"
    result = json.loads(path.read_text(encoding="utf-8"))
    published = PUBLISHED["ravdess"]
    for key in ("with_first_window", "without_first_window"):
        result[key]["claims"] = compare_claims(published, result["classes"], result[key])
    return result | {"published": plain_findings(published)}


def test_the_printed_shares_stand_beside_ours():
    result = sampled_of_ravdess()
    lines = describe_sampled(result).splitlines()
    rows = {cells[1].strip(): cells for cells in (line.split("|") for line in lines[:11])}
    assert [cell.strip() for cell in rows["emotion"][2:5]] == [
        "first window counted",
        "first window not counted",
        "paper",
    ]
    printed = {name: float(cells[4]) for name, cells in rows.items() if name in result["classes"]}
    assert printed == {
        "neutral": 65.8,
        "calm": 61.5,
        "happy": 66.1,
        "sad": 62.5,
        "angry": 61.3,
        "fearful": 63.1,
        "disgusted": 61.6,
        "surprised": 68.5,
    }
    assert float(rows["mean"][4]) == 63.8


def test_each_claim_is_said_to_hold_or_not_with_and_without_the_first_window():
    lines = describe_sampled(sampled_of_ravdess()).splitlines()
    claim = 'the paper\'s "neutral is most similar to calm and least to surprised"'
    assert (
        f"First window counted: {claim} does not hold; here neutral is most similar to calm and "
        "least to sad."
    ) in lines
    assert f"First window not counted: {claim} holds." in lines


def test_other_corpora_have_a_table_and_no_claims():
    result = sampled_of_ravdess() | {"published": None}
    for key in ("with_first_window", "without_first_window"):
        del result[key]["claims"]
    lines = describe_sampled(result).splitlines()
    assert "paper" not in lines[0]
    assert [line.split("|")[1].strip() for line in lines[2:]] == [*result["classes"], "mean"]


def test_the_picture_has_the_printed_shares_and_the_verdicts(tmp_path):
    sampled_input(sampled_of_ravdess(), tmp_path / "one.svg")
    text = (tmp_path / "one.svg").read_text()
    for words in (
        "printed in the paper",
        "sampled share of the input (%)",
        "the paper's order holds:",
        "the paper's order does not hold:",
        "neutral is most similar to calm and least to surprised",
    ):
        assert words in text
