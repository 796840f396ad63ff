import re

from docs.error_messages import ROOT
from ser_keras.report.pages.words import WORDS, words_in


def test_every_word_stands_in_the_glossary():
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").lower()
    terms = " ".join(re.findall(r"^\*\*(.+)\*\*$", glossary, re.MULTILINE))
    assert [word for word in WORDS if word.lower() not in terms] == []


def test_words_are_whole_words_in_their_forms():
    assert list(words_in("two folds, enrolled, calibrated")) == ["fold", "calibration", "enrolment"]
    assert words_in("manifold UAR ser-keras/fold-list") == {}
