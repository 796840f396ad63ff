"""What a YAML file says of a corpus: how its recordings are named, what it holds, where from.

`ser_keras/corpora/definitions` has one file per corpus; `docs/corpus.md` has an example of one.
"""

import re
from dataclasses import field
from pathlib import Path
from typing import Literal, Self

from pydantic import StrictBool, StrictStr, model_validator
from pydantic.dataclasses import dataclass

from ser_keras.corpora.base import CorpusInfo
from ser_keras.corpora.definition_sections import (
    Archive,
    Count,
    Fact,
    Selection,
    TableRule,
    path_pattern_of,
    pattern_of,
)
from ser_keras.errors import ConfigError, unknown_name
from ser_keras.files import parse_yaml
from ser_keras.labels import CLASS_SETS, emotion_of_word
from ser_keras.settings import KNOWN_KEYS_ONLY, settings_from

REQUIRED_FACTS = ("label", "speaker")
# A corpus whose every speaker is tested once, and one whose speakers are dealt to so many groups.
PROTOCOL_END = re.compile(r"loso|groups(?P<number>[1-9][0-9]{0,2})")
# What a protocol that tests new speakers needs: one to test, one to validate and one to train on.
MIN_SPEAKERS = 3


@dataclass(frozen=True, config=KNOWN_KEYS_ONLY)
class CorpusDefinition:
    """A corpus whose labels stand in the names of its recordings or in a table.

    Args:
        title: str. Full name.
        languages: list of str. What is spoken.
        licence: str. Licence or terms.
        short_licence: str. The same in a few letters, for lists.
        citation: str. Authors, year, venue.
        home: str. Address of its home page.
        access: str. What a person does to get it, in one sentence.
        sources: mapping. What the layout, the counts and the like were taken from.
        remarks: list of str. What a user has to know, as sentences.
        style: str. `"acted"`, `"improvised"`, `"scripted"` or empty.
        pattern: str. Regular expression of a recording's name without its suffix; with `/` in it,
            of the end of its path. Digits are 0 to 9. Its named groups hold the facts.
        example: str. A name that fits the pattern.
        ignore_case: bool. Take names in lower case.
        remedy: str. What to do about a foreign file instead of removing it.
        table: the table.
        facts: mapping of a fact to where it stands: label and speaker; sentence, session, gender
            and split where known. Others are read and not used.
        only: which recordings belong to the corpus.
        utterances: int or null. Published number of utterances.
        labels: mapping of label to its published count, null where it is not known.
        speakers: mapping of speaker to its published count, null where it is not known.
        number_of_speakers: int or null. Where their names are not known.
        class_sets: list of str. Names in `ser_keras.labels.CLASS_SETS`, the default first; without
            any, the labels are the classes.
        protocols: list of str. `loso`, and `groups` with a number, such as `groups10`.
        speaker_dependent: str. Why no protocol can test new speakers, as a sentence.
        download: the archive that `ser download` gets.
    """

    title: StrictStr
    licence: StrictStr
    access: StrictStr
    facts: dict[StrictStr, Fact]
    labels: dict[StrictStr, Count | None]
    sources: dict[StrictStr, StrictStr]
    languages: list[StrictStr] = field(default_factory=list)
    short_licence: StrictStr = ""
    citation: StrictStr = ""
    home: StrictStr = ""
    remarks: list[StrictStr] = field(default_factory=list)
    style: Literal["acted", "improvised", "scripted", ""] = ""
    pattern: StrictStr = ""
    example: StrictStr = ""
    ignore_case: StrictBool = False
    remedy: StrictStr = "get the corpus again"
    table: TableRule = field(default_factory=TableRule)
    only: Selection = field(default_factory=Selection)
    utterances: Count | None = None
    speakers: dict[StrictStr, Count | None] = field(default_factory=dict)
    number_of_speakers: Count | None = None
    class_sets: list[StrictStr] = field(default_factory=list)
    protocols: list[StrictStr] = field(default_factory=list)
    speaker_dependent: StrictStr = ""
    download: Archive = field(default_factory=Archive)

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        if not self.pattern and not self.table.path:
            raise ValueError("expected a pattern of names or a table. Give one of them.")
        groups = pattern_of(self.pattern).groupindex
        path_pattern_of(self.pattern)
        for name, fact in self.facts.items():
            if fact.group and fact.group not in groups:
                message = unknown_name("group", fact.group, groups)
                raise ValueError(f"the pattern has no such group for {name}: {message}")
            if fact.column and not self.table.path:
                raise ValueError(f"{name} has a column, but there is no table. Name it in table.")
            if self.pattern and not (fact.group or fact.value):
                raise ValueError(
                    f"{name} has a column alone, but names have a pattern, with which a table can "
                    "only agree. Give its group as well, or leave the pattern out."
                )
            if not self.pattern and not (fact.column or fact.value):
                raise ValueError(f"{name} has no column of the table. Name one.")
        for name in REQUIRED_FACTS:
            if name not in self.facts:
                raise ValueError(f"facts has no {name}, which every corpus needs. Add it.")
        for name in self.only.facts:
            if name not in self.facts:
                raise ValueError(f"only asks for an {unknown_name('fact', name, self.facts)}")
        name = self.example.lower() if self.ignore_case else self.example
        if self.pattern and not pattern_of(self.pattern).fullmatch(name):
            raise ValueError(
                f"found the example {self.example!r}, expected a name that fits the pattern. "
                "Correct one of them."
            )
        return self

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        for label in self.labels:
            if word := emotion_of_word(label):
                raise ValueError(
                    f"found the label {label!r}, another word for {word!r}, by which the other "
                    f"corpora call it. Write {word}."
                )
        rule = self.facts["label"]
        meanings = {rule.value} if rule.value else set(rule.meanings.values())
        if meanings and meanings != set(self.labels):
            names = ", ".join(sorted(meanings ^ set(self.labels)))
            raise ValueError(
                f"labels and the map of the label differ in {names}, expected the same labels in "
                "both. Correct one of them."
            )
        return self

    @model_validator(mode="after")
    def _check_counts(self) -> Self:
        for name, counts in {"labels": self.labels, "speakers": self.speakers}.items():
            known = [count for count in counts.values() if count is not None]
            if self.utterances is None or len(known) < max(1, len(counts)):
                continue
            if sum(known) != self.utterances:
                raise ValueError(
                    f"found {sum(known)} utterances in {name}, expected the {self.utterances} of "
                    "utterances. Correct one of them."
                )
        return self

    @model_validator(mode="after")
    def _check_protocols(self) -> Self:
        for name in self.class_sets:
            if name not in CLASS_SETS:
                raise ValueError(unknown_name("class set", name, CLASS_SETS))
        for end in self.protocols:
            if not PROTOCOL_END.fullmatch(end):
                raise ValueError(
                    f"found the protocol {end!r}, expected loso, or groups with a number, such as "
                    "groups10."
                )
        num_speakers = len(self.speakers) or self.number_of_speakers or MIN_SPEAKERS
        if self.protocols and (self.speaker_dependent or num_speakers < MIN_SPEAKERS):
            raise ValueError(
                f"found the protocols {', '.join(self.protocols)}, expected none: they test "
                f"speakers that are new to the model, which needs {MIN_SPEAKERS} or more. Say why "
                "it cannot be done in speaker_dependent."
            )
        return self

    def info(self, name: str) -> CorpusInfo:
        """Returns the facts of the corpus under its name."""
        return CorpusInfo(
            name=name,
            title=self.title,
            utterances=self.utterances,
            labels=self.labels,
            speakers=self.speakers,
            class_sets=tuple(self.class_sets),
            licence=self.licence,
            citation=self.citation,
            home=self.home,
            access=self.access,
            languages=tuple(self.languages),
            short_licence=self.short_licence,
            number_of_speakers=self.number_of_speakers,
            protocols=tuple(self.protocols),
            speaker_dependent=self.speaker_dependent,
            sources=self.sources,
            remarks=tuple(self.remarks),
            example=self.example,
        )


def load_definition(path: Path) -> CorpusDefinition:
    """Returns what a YAML file says of a corpus.

    Raises:
        ConfigError: it cannot be read, an unknown key (the nearest one is suggested), or facts that
            contradict each other.
    """
    try:
        values = parse_yaml(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not readable as YAML: {error}") from None
    return settings_from(CorpusDefinition, values, str(path))
