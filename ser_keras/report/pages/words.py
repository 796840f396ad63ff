"""Words of the field that a newcomer does not know, explained where a text first uses them."""

import re
from collections.abc import Mapping

# In the order in which they are explained: what is measured first, then what is measured on.
WORDS: Mapping[str, str] = {
    "UA": "unweighted accuracy, the share of recordings recognised, taken for each emotion and "
    "then averaged over the emotions, so that a rare emotion counts as much as a common one",
    "WA": "weighted accuracy, the share of all recordings recognised",
    "fold": "one division of the recordings into a part to train on and a part to test on",
    "protocol": "a named list of folds, which says who is trained on and who is tested",
    "recipe": "a file with the model and every setting of its training; `ser recipes` lists them",
    "blind": "nothing is known of a speaker who is tested",
    "adapted": "recordings of the tested speaker, without labels, normalise the speaker's features",
    "validation": "speakers of the training part who are not trained on; they choose the epoch",
    "calibration": "making probabilities mean what they say: right in 70 % of the cases at 70 %",
    "servable": "a model that a server answers for, under a name and a version",
    "temperature": "a number that log-probabilities are divided by, to make them less sure",
    "enrolment": "recordings of a speaker, without labels, from which the model learns the voice",
    "ours": "settings of this project; the paper's are as its paper prints them",
    "macro-F1": "the mean over emotions of F1, which counts what is missed and what is mistaken",
    "multiply-accumulates": "multiplications with an addition: how much the model computes",
    "nats": "the unit of a loss: 0 is certain and right; guessing among 4 emotions costs 1.39",
}
_SPELLINGS = {"fold": "folds?", "protocol": "protocols?", "recipe": "recipes?"}
_SPELLINGS |= {"calibration": "calibrat(?:e[sd]?|ion)", "servable": "servables?"}
_SPELLINGS |= {"temperature": "temperatures?", "enrolment": "enrol(?:ment|ments|led)?"}


def words_in(text: str) -> dict[str, str]:
    """Returns the words of `WORDS` that a text uses, with what they mean.

    Example:
        >>> list(words_in("Each fold's UA, not the wage."))
        ['UA', 'fold']
    """
    return {
        word: meaning
        for word, meaning in WORDS.items()
        if re.search(rf"(?<![\w/-]){_SPELLINGS.get(word, re.escape(word))}(?![\w-])", text)
    }
