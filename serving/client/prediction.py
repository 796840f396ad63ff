"""What a model says of a stretch of speech, as the client hands it out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

UNCERTAIN = "uncertain"
# The outputs that a prediction consists of; the others are maps.
ANSWER_OUTPUTS = ("classes", "label", "probabilities")


@dataclass(frozen=True)
class Prediction:
    """What a model says of one stretch of speech.

    Args:
        label: str. The likeliest class.
        probabilities: mapping of class to probability, in the model's order.
        maps: mapping of name to array: attention, without the batch axis. Empty unless asked for:
            they are nearly all of an answer, up to 45 kB for a second of speech.
        version: int. The version that answered.
        start_s, end_s: float. Which part of the audio, in seconds.
    """

    label: str
    probabilities: Mapping[str, float]
    maps: Mapping[str, np.ndarray] = field(repr=False)
    version: int
    start_s: float
    end_s: float

    def answer(self, uncertain_below: float = 0.0) -> str:
        """Returns the label, or `"uncertain"` where its probability is below a limit.

        Args:
            uncertain_below: float. The limit, 0 to 1. What it should be depends on what an error
                costs; probabilities mean most where the model card says that it was calibrated.

        Example:
            >>> prediction = Prediction("sad", {"angry": 0.4, "sad": 0.6}, {}, 1, 0.0, 1.0)
            >>> prediction.answer(), prediction.answer(uncertain_below=0.7)
            ('sad', 'uncertain')
        """
        return self.label if self.probabilities[self.label] >= uncertain_below else UNCERTAIN

    @property
    def likeliest(self) -> list[tuple[str, float]]:
        """Classes with their probabilities, the likeliest first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])

    def in_words(self, uncertain_below: float = 0.0, most: int = 3) -> str:
        """Returns the likeliest classes with their probabilities; a doubt is said before them.

        Args:
            uncertain_below: float. See `answer`.
            most: int. How many classes.

        Example:
            >>> prediction = Prediction("sad", {"angry": 0.4, "sad": 0.6}, {}, 1, 0.0, 1.0)
            >>> prediction.in_words(), prediction.in_words(uncertain_below=0.7, most=1)
            ('sad 60 %, angry 40 %', 'uncertain: sad 60 %')
        """
        likeliest = self.likeliest[:most]
        shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in likeliest)
        answer = self.answer(uncertain_below)
        # The likeliest stands first by itself; only a doubt needs a word.
        return shares if answer == self.label else f"{answer}: {shares}"


def prediction_of(
    outputs: Mapping[str, np.ndarray], row: int, version: int, start_s: float, end_s: float
) -> Prediction:
    """Returns the prediction that a row of a signature's outputs makes.

    Args:
        outputs: mapping of name to array, of a batch.
        row: int. Which of the batch.
        version: int. The version that answered.
        start_s: float. Where the audio begins, in seconds.
        end_s: float. Where it ends.
    """
    names = [name.decode() for name in outputs["classes"][row]]
    values = map(float, outputs["probabilities"][row])
    maps = {name: value[row] for name, value in outputs.items() if name not in ANSWER_OUTPUTS}
    label = outputs["label"][row].decode()
    return Prediction(label, dict(zip(names, values, strict=True)), maps, version, start_s, end_s)
