"""What attention did over a corpus, in words, beside what the papers print."""

import numpy as np

from ser_keras.experiments.attention.sampling import plain_findings
from ser_keras.models.attention.emergent import PUBLISHED, compare_claims
from ser_keras.plots import sampled_input
from ser_keras.report.attention import describe_attention_statistics, describe_sampled

CLASSES = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
# Shares, and similarities to neutral, as a model trained on RAVDESS has them.
WITH = (0.711, 0.678, 0.701, 0.689, 0.668, 0.693, 0.67, 0.717)
TO_NEUTRAL = (1.0, 0.9953, 0.9927, 0.9925, 0.9926, 0.9929, 0.9941, 0.9928)
WITHOUT = (0.421, 0.398, 0.413, 0.392, 0.412, 0.402, 0.415, 0.419)
TO_NEUTRAL_WITHOUT = (1.0, 0.9547, 0.9247, 0.9227, 0.931, 0.9259, 0.9451, 0.9217)


def table(shares, to_neutral):
    similarity = np.eye(len(CLASSES))
    similarity[0] = similarity[:, 0] = to_neutral
    counted = {"share": dict(zip(CLASSES, shares, strict=True)), "mean_share": np.mean(shares)}
    counted["similarity"] = similarity.tolist()
    return counted | {"claims": compare_claims(PUBLISHED["ravdess"], CLASSES, counted)}


def sampled_of_ravdess():
    return {
        "model": "predictive_vrnn",
        "dataset": "ravdess",
        "spec": "mfcc40-windows",
        "classes": list(CLASSES),
        "with_first_window": table(WITH, TO_NEUTRAL),
        "without_first_window": table(WITHOUT, TO_NEUTRAL_WITHOUT),
        "published": plain_findings(PUBLISHED["ravdess"]),
    }


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


def test_the_claims_of_one_speaker_are_said_with_what_they_rest_on():
    claim = {"claim": "layer 2 is smoother than layer 1", "source": "Sec. 5.1", "verdict": "holds"}
    claim |= {"quantity": "a less b", "mean": 2e-5, "interval": [1e-5, 4e-4], "remark": ""}
    result = {"maps": {}, "correlations": {}, "utterances": 12, "speakers": 1, "claims": [claim]}
    lines = describe_attention_statistics(result | {"intervals_over": "utterances"}).splitlines()
    assert lines[-2].startswith("Means over 12 test utterances of 1 speaker; in brackets")
    # Three decimals would say that nothing differs.
    assert lines[-1] == (
        "That layer 2 is smoother than layer 1 (Sec. 5.1) holds: "
        "a less b is 2e-05 (1e-05 to 4e-04)."
    )
