"""The line about a model says what it has heard and what it is worth."""

import pytest

from serving.explain.introduction import introduction

KNOWN = {
    "name": "moma",
    "corpus": "emodb",
    "dataset": "emodb",
    "classes": ["angry", "sad"],
    "sizes": {"train": 290, "test": 49},
    "shares_speakers": False,
    "fold_scores": {"ua": 0.614, "wa": 0.7},
}


def test_it_names_the_data_and_the_share_of_new_voices():
    text = introduction(KNOWN)
    assert "has heard 290 recordings of" in text
    assert "Of voices that are new to it, it names 61 % right; guessing gets 50 %." in text
    assert "Of voices that it knows" in introduction(KNOWN | {"shares_speakers": True})


def test_the_blind_track_counts_for_nothing_is_known_of_a_user():
    scores = {"adapted": {"ua": 0.8}, "blind": {"ua": 0.5}}
    assert "names 50 % right" in introduction(KNOWN | {"track_scores": scores})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"corpus": "synthetic"}, "knows synthetic sounds only"),
        ({"fold_scores": {"ua": None, "wa": None}}, "It was not tested."),
        (
            {
                "worth": {
                    "data": "acted speech of 9 people",
                    "new_corpora": [{"blind": {"ua": 0.5}}, {"blind": {"ua": 0.75}}],
                }
            },
            "has heard acted speech of 9 people. Of voices, languages and rooms that are new to "
            "it, it names 50 to 75 % right; guessing gets 50 %.",
        ),
    ],
)
def test_models_without_a_test_of_their_own(changes, expected):
    assert expected in introduction(KNOWN | changes)
