"""Emotion names and class orders: the one owner of what output unit k of a model means.

Readers give every utterance its corpus's own emotion in the words of `EMOTIONS`. A `ClassSet` then
says which of them an experiment uses, in which order, and which are merged. The order travels with
the features, the model and the server; nothing else in the project sorts labels.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ser_keras.errors import ConfigError, unknown_name

EMOTIONS = (
    "neutral",
    "calm",
    "happy",
    "excited",
    "sad",
    "angry",
    "fearful",
    "disgusted",
    "surprised",
    "bored",
)

# Other words that tables have for them; each stands for one emotion alone.
_WORDS = {
    "neutral": "neutrality neutrale neutre neu ntr",
    "calm": "calmness calme calma ruhig",
    "happy": "happiness hap joy joyful glad freude frohlich glucklich joie heureux "
    "gioia felicita felicidad feliz alegria alegre radosc szczescie",
    "excited": "excitement excitation exc",
    "sad": "sadness sorrow trauer traurig traurigkeit tristesse triste tristezza tristeza smutek",
    "angry": "anger ang rage wut wutend arger argerlich colere rabbia ira enojo enfado raiva zlosc "
    "gniew",
    "fearful": "fear fea afraid scared angst angstlich furcht peur paura miedo medo strach",
    "disgusted": "disgust dis disg ekel degout disgusto asco nojo wstret",
    "surprised": "surprise sur surp surprize pleasantsurprise uberraschung uberrascht sorpresa "
    "surpresa zaskoczenie",
    "bored": "boredom bor langeweile gelangweilt ennui noia aburrimiento tedio nuda",
}
_EMOTION_OF_WORD = {word: emotion for emotion, words in _WORDS.items() for word in words.split()}
_ACCENTS = range(0x300, 0x370)
_LETTERS_WITHOUT_ACCENT = str.maketrans(
    {"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ı": "i", "æ": "ae", "œ": "oe"}
)


def plain_word(text: str) -> str:
    """Returns a word in lower case, without accents, punctuation and blanks.

    Between two digits a blank remains, since 1-1 is not 11. What holds no letter or digit at all is
    returned as it is.

    Example:
        >>> plain_word(" Zoë_B. "), plain_word("S-01/2"), plain_word("Straße")
        ('zoeb', 's01 2', 'strasse')
    """
    letters = unicodedata.normalize("NFKD", text).translate(_LETTERS_WITHOUT_ACCENT).casefold()
    letters = "".join(letter for letter in letters if ord(letter) not in _ACCENTS)
    kept = (c if unicodedata.category(c)[0] in "LNM" else " " for c in letters)
    words = "".join(kept).split()
    result = ""
    for word in words:
        result += " " * (result[-1:].isdigit() and word[0].isdigit()) + word
    return result or text


def emotion_of_word(label: str) -> str | None:
    """Returns which of `EMOTIONS` a label is another word for, or None.

    Example:
        >>> emotion_of_word("Anger"), emotion_of_word("angry"), emotion_of_word("proud")
        ('angry', None, None)
    """
    if label in EMOTIONS:
        return None
    word = plain_word(label)
    return word if word in EMOTIONS else _EMOTION_OF_WORD.get(word)


@dataclass(frozen=True)
class ClassSet:
    """An ordered set of classes, with the labels merged into them.

    Args:
        name: str. Name under which results report it.
        classes: tuple of str. Position k is output unit k.
        merge: mapping of label to class, for labels that count as another class.

    Example:
        >>> CLASS_SETS["iemocap4"].class_of("excited")
        'happy'
        >>> CLASS_SETS["iemocap4"].index("sad")
        3
    """

    name: str
    classes: tuple[str, ...]
    merge: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def class_of(self, label: str) -> str | None:
        """Returns the class of `label`, or None where the set leaves that label out."""
        name = self.merge.get(label, label)
        return name if name in self.classes else None

    def index(self, label: str) -> int:
        """Returns the output unit of `label`.

        Raises:
            ConfigError: the set has no such label.
        """
        name = self.class_of(label)
        if name is None:
            raise ConfigError(unknown_name(f"label of class set {self.name}", label, self.classes))
        return self.classes.index(name)


CLASS_SETS = {
    classes.name: classes
    for classes in (
        ClassSet(
            "iemocap4",
            ("angry", "happy", "neutral", "sad"),
            MappingProxyType({"excited": "happy"}),
        ),
        ClassSet("iemocap4-no-excited", ("angry", "happy", "neutral", "sad")),
        ClassSet(
            "ravdess8",
            (
                "neutral",
                "calm",
                "happy",
                "sad",
                "angry",
                "fearful",
                "disgusted",
                "surprised",
            ),
        ),
        ClassSet(
            "emodb7",
            ("angry", "bored", "neutral", "happy", "fearful", "sad", "disgusted"),
        ),
        ClassSet("emodb4", ("angry", "happy", "neutral", "sad")),
        ClassSet("casia6", ("angry", "fearful", "happy", "neutral", "sad", "surprised")),
        ClassSet("nemo6", ("neutral", "sad", "angry", "happy", "fearful", "surprised")),
        ClassSet("synthetic4", ("angry", "happy", "neutral", "sad")),
    )
}


def class_set(name: str) -> ClassSet:
    """Returns the class set called `name`.

    Raises:
        ConfigError: no such class set; the nearest names are suggested.
    """
    if name not in CLASS_SETS:
        raise ConfigError(unknown_name("class set", name, CLASS_SETS))
    return CLASS_SETS[name]


def class_set_from(name: str, labels: Iterable[str]) -> ClassSet:
    """Returns a class set of these labels: known emotions in their order, then the others.

    For corpora whose classes come from the user's own table.

    Example:
        >>> class_set_from("mine", ["sad", "angry", "proud", "sad"]).classes
        ('sad', 'angry', 'proud')
    """
    names = set(labels)
    known = [emotion for emotion in EMOTIONS if emotion in names]
    return ClassSet(name, tuple(known + sorted(names - set(known))))
