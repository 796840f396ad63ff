"""The parts of a corpus's definition: where facts stand, the table, the archive, the patterns."""

import re
from dataclasses import field
from functools import lru_cache
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, StrictInt, StrictStr, model_validator
from pydantic.dataclasses import dataclass

from ser_keras.settings import KNOWN_KEYS_ONLY

# The group of a path's pattern that is the recording's name.
NAME_IN_PATH = "name_in_path"

# Codes such as 1 may be written without quotes.
Code = Annotated[StrictStr, BeforeValidator(lambda code: str(code) if type(code) is int else code)]
Count = Annotated[StrictInt, Field(ge=0)]


@dataclass(frozen=True, config=KNOWN_KEYS_ONLY)
class Fact:
    """Where one fact of a recording stands, and what its codes mean.

    Args:
        group: str. The group of the pattern that holds it.
        column: str. The column of the table that holds it. With a group, both must agree.
        value: str. The fact itself, where it is the same for all recordings.
        map: mapping of code to meaning; without one, a code means itself.
        known: list of str. The codes that there are, where they mean themselves; empty allows any.
        every: int. Where numbers run on from block to block, how many each block has: the fact is
            the place in the block. 0 takes codes as they are.
    """

    group: StrictStr = ""
    column: StrictStr = ""
    value: StrictStr = ""
    map: dict[StrictStr, StrictStr] = field(default_factory=dict)
    known: list[Code] = field(default_factory=list)
    every: Count = 0

    @model_validator(mode="after")
    def _check_origin(self) -> Self:
        if bool(self.value) == bool(self.group or self.column):
            raise ValueError(
                "expected either a group of the pattern or a column of the table (or both of "
                "them), or a value for all recordings. Give one."
            )
        return self

    @property
    def meanings(self) -> dict[str, str]:
        """Meaning by code; empty where every code means itself."""
        return self.map or {code: code for code in self.known}

    def in_block(self, code: str) -> str:
        """Returns the place of a number in its block; a code without blocks as it is."""
        return str((int(code) - 1) % self.every + 1) if self.every and code.isdecimal() else code


@dataclass(frozen=True, config=KNOWN_KEYS_ONLY)
class Selection:
    """Which recordings belong to the corpus, where others lie among them.

    Args:
        facts: mapping of fact to the value that a recording of the corpus has.
        others: str. What the others are, in the plural, for the warning that they are left out.
    """

    facts: dict[StrictStr, StrictStr] = field(default_factory=dict)
    others: StrictStr = "other recordings"


@dataclass(frozen=True, config=KNOWN_KEYS_ONLY)
class TableRule:
    """The table of a corpus. Beside a pattern it may be missing; else it must agree with the names.

    Args:
        path: str. The table, below the folder of the corpus.
        file: str. Column that names the recording.
        folder: str. Folder of the recordings, which may be given in place of that of the corpus.
    """

    path: StrictStr = ""
    file: StrictStr = ""
    folder: StrictStr = ""

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        if bool(self.path) != bool(self.file):
            raise ValueError("expected path and file, the column that names the recording.")
        return self


@dataclass(frozen=True, config=KNOWN_KEYS_ONLY)
class Archive:
    """The archive that `ser download` gets.

    Args:
        url: str. Its address; empty where there is none to download.
        max_bytes: int. Most bytes that it may have.
        known_hash: str. `"md5:..."` or `"sha256:..."`, where its publisher gives one.
        file_hashes: str. Name of a table of sha256 by file name, in the folder of the definitions.
    """

    url: StrictStr = ""
    max_bytes: Count = 0
    known_hash: StrictStr = ""
    file_hashes: StrictStr = ""

    @model_validator(mode="after")
    def _check_hashes(self) -> Self:
        if self.url and not (self.known_hash or self.file_hashes):
            raise ValueError(
                "found an archive without a hash, expected known_hash or file_hashes, by which a "
                "download can be checked. Give one, or leave download out."
            )
        return self


@lru_cache(maxsize=256)
def pattern_of(text: str) -> re.Pattern[str]:
    """Returns the pattern of a recording's name.

    Raises:
        ValueError: it is no regular expression, or two of its groups have the same name.
    """
    try:
        return re.compile(text, re.ASCII)
    except re.error as error:
        twice = re.search(r"redefinition of group name '(\w+)'", str(error))
        if twice:
            raise ValueError(
                f"the pattern has two groups called {twice[1]!r}, expected each name once. Rename "
                "one of them."
            ) from None
        raise ValueError(f"the pattern is no regular expression ({error}). Correct it.") from None


def path_pattern_of(text: str) -> re.Pattern[str]:
    """Returns the pattern of a path that ends in a recording's name, which is a group of its own.

    The name begins where a folder's or the file's name does.
    """
    return pattern_of(rf"(?s:.*/)?(?P<{NAME_IN_PATH}>{text})")
