"""The prediction for a stretch of speech, as the client returns it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

UNCERTAIN = "uncertain"
# The label of a stretch without speech, which has no probabilities.
NO_SPEECH = "no speech found"
# The outputs that make a prediction; all others are maps.
ANSWER_OUTPUTS = ("classes", "label", "probabilities")
# A further output of the signature that takes statistics of the speaker.
TRACK = "track"


@dataclass(frozen=True)
class Prediction:
    """A model's prediction for one stretch of speech.

    Args:
        label: str. The most probable class, or `NO_SPEECH`.
        probabilities: mapping of class to probability, in the model's order; empty where no speech
            was found.
        maps: mapping of name to attention map, without the batch axis. Empty unless requested,
            since the maps are most of an answer's size: up to 45 kB for a second of speech.
        version: int. The version that answered; 0 where none was asked.
        start_s, end_s: float. Start and end of the stretch in the audio, in seconds.
        track: str. `"adapted"` where statistics of the speaker were used, else `"blind"`; too
            little speech is not used.
    """

    label: str
    probabilities: Mapping[str, float]
    maps: Mapping[str, np.ndarray] = field(repr=False)
    version: int
    start_s: float
    end_s: float
    track: str = "blind"

    def answer(self, uncertain_below: float = 0.0) -> str:
        """Returns the label, or `"uncertain"` where its probability is below a limit.

        Args:
            uncertain_below: float. The limit, 0 to 1. Choose it by the cost of an error. The
                probabilities are most reliable where the model card says that it was calibrated.

        Example:
            >>> prediction = Prediction("sad", {"angry": 0.4, "sad": 0.6}, {}, 1, 0.0, 1.0)
            >>> prediction.answer(), prediction.answer(uncertain_below=0.7)
            ('sad', 'uncertain')
        """
        certain = not self.probabilities or self.probabilities[self.label] >= uncertain_below
        return self.label if certain else UNCERTAIN

    @property
    def likeliest(self) -> list[tuple[str, float]]:
        """Classes with their probabilities, the most probable first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])

    def in_words(self, uncertain_below: float = 0.0, top: int = 3) -> str:
        """Returns the most probable classes with their probabilities, after a warning if uncertain.

        Args:
            uncertain_below: float. See `answer`.
            top: int. Number of classes.

        Example:
            >>> prediction = Prediction("sad", {"angry": 0.4, "sad": 0.6}, {}, 1, 0.0, 1.0)
            >>> prediction.in_words(), prediction.in_words(uncertain_below=0.7, top=1)
            ('sad 60 %, angry 40 %', 'uncertain: sad 60 %')
        """
        if not self.probabilities:
            return self.label
        classes = self.likeliest[:top]
        text = ", ".join(f"{name} {100 * probability:.0f} %" for name, probability in classes)
        answer = self.answer(uncertain_below)
        # The label is the first of the classes already.
        return text if answer == self.label else f"{answer}: {text}"


def no_speech(start_s: float, end_s: float) -> Prediction:
    """Returns what is said of a stretch without speech, which no model was asked for.

    Example:
        >>> no_speech(0.0, 4.0).in_words()
        'no speech found'
    """
    return Prediction(NO_SPEECH, {}, {}, 0, start_s, end_s)


def prediction_of(
    outputs: Mapping[str, np.ndarray], row: int, version: int, start_s: float, end_s: float
) -> Prediction:
    """Returns the prediction in one row of a signature's outputs.

    Args:
        outputs: mapping of name to array, of a batch.
        row: int. Row of the batch.
        version: int. The version that answered.
        start_s: float. Start of the audio, in seconds.
        end_s: float. End of the audio, in seconds.
    """
    names = [name.decode(errors="replace") for name in outputs["classes"][row]]
    values = map(float, outputs["probabilities"][row])
    answered = (*ANSWER_OUTPUTS, TRACK)
    maps = {name: value[row] for name, value in outputs.items() if name not in answered}
    label = outputs["label"][row].decode(errors="replace")
    track = outputs[TRACK][row].decode(errors="replace") if TRACK in outputs else "blind"
    probabilities = dict(zip(names, values, strict=True))
    return Prediction(label, probabilities, maps, version, start_s, end_s, track)
