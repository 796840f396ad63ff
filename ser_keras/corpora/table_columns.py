"""Which column of somebody else's table holds what."""

import re
from collections.abc import Mapping

from ser_keras.corpora.csv_table import Table
from ser_keras.errors import ConfigError, unknown_name

REQUIRED = ("path", "label", "speaker")
# Usual names by column of a manifest, the better ones first, without blanks and underscores.
_USUAL_NAMES = {
    "path": "path filepath filepaths file files filename filenames fileid wav wavfile wavpath "
    "audio audiofile audiopath audioid recording recordingid clip clipid utterance utteranceid utt "
    "uttid segmentid fname id",
    "label": "label labels emotion emotions emotionlabel emotionclass emo class category target",
    "speaker": "speaker speakerid speakername spk spkid actor actorid subject subjectid "
    "participant participantid person personid clientid talker voice",
    "session": "session sessionid dialog dialogue dialogid dialogueid",
    "sentence": "sentence sentenceid textid promptid statement statementid prompt normalizedtext "
    "text rawtext transcript transcription",
    "gender": "gender sex speakergender",
    "style": "style",
    "split": "split subset partition set",
}
_NOUNS = {"path": "the recordings", "label": "the emotions", "speaker": "the speakers"}
_PATTERNS = {"label": "^([^/]+)/", "speaker": "^([^_]+)_"}
_PATHS = {"label": "happy/01.wav", "speaker": "anna_01.wav"}
ROLES = tuple(_USUAL_NAMES)


def choose_columns(table: Table, named: Mapping[str, str], known: set[str]) -> dict[str, str]:
    """Returns by column of a manifest the column of the table that holds it, as far as it is clear.

    A needed column is guessed only where a single one has a usual name of it.

    Args:
        table: the table, of which the header is looked at.
        named: what is known already; an empty name leaves that column out.
        known: columns of a manifest that do not come from a column of the table.

    Raises:
        ConfigError: a column that the table or a manifest does not have.
    """
    for role, column in named.items():
        if role not in ROLES:
            raise ConfigError(unknown_name("column of a manifest", role, ROLES))
        if column and column not in table.columns:
            message = unknown_name("column", column, table.columns)
            raise ConfigError(f"--columns {role}={column}: {message}")
    columns = {role: column for role, column in named.items() if column}
    for role in ROLES:
        if role in named or role in known:
            continue
        names = candidates(table, role, columns)
        if len(names) == 1 or (names and (role not in REQUIRED or _plain(names[0]) == role)):
            columns[role] = names[0]
    return columns


def candidates(table: Table, role: str, columns: Mapping[str, str]) -> list[str]:
    """Returns the columns that may hold what `role` means by their names, the likeliest first."""
    usual = _USUAL_NAMES[role].split()
    free = [name for name in table.columns if name not in columns.values()]
    fitting = [name for name in free if _plain(name) in usual]
    if len(fitting) > 1:
        fitting = [name for name in fitting if _plain(name) != "id"]
    return sorted(fitting, key=lambda name: usual.index(_plain(name)))


def question(table: Table, role: str, columns: Mapping[str, str]) -> str:
    """Returns the sentence that asks which column holds what `role` means."""
    fitting = candidates(table, role, columns)
    if len(fitting) > 1:
        options = " or ".join(f"--columns {role}={name}" for name in fitting)
        return (
            f"{table.path}: found several columns that may name {_NOUNS[role]}: "
            f"{', '.join(fitting)}. Add {options}."
        )
    names = ", ".join(name for name in table.columns if name)
    sentence = f"{table.path}: cannot tell which column names {_NOUNS[role]} among {names}."
    sentence += f" Add --columns {role}=COLUMN"
    example = _first(table, columns.get("path"))
    if role == "path" or not example:
        return f"{sentence}."
    return (
        f"{sentence}; or, if the {role} is in the path, --from-path with a regular expression that "
        f"has a group around it, such as '{role}={_PATTERNS[role]}' for {_PATHS[role]}. The first "
        f"path is {example}."
    )


def _first(table: Table, column: str | None) -> str:
    """Returns what the first row has in a column."""
    fields = next((fields for _, fields in table.rows()), [])
    number = table.columns.index(column) if column else len(fields)
    return fields[number] if number < len(fields) else ""


def path_patterns(texts: Mapping[str, str]) -> dict[str, re.Pattern[str]]:
    """Returns the expressions that take columns of a manifest from a path.

    Args:
        texts: regular expressions by column.

    Raises:
        ConfigError: no such column, no regular expression, or not one group in it.
    """
    patterns = {}
    for role, text in texts.items():
        if role not in ROLES or role == "path":
            known = [name for name in ROLES if name != "path"]
            raise ConfigError(f"--from-path: {unknown_name('column of a manifest', role, known)}")
        try:
            patterns[role] = re.compile(text)
        except re.error as error:
            raise ConfigError(
                f"--from-path {role}={text}: is no regular expression ({error}). Correct it."
            ) from None
        if patterns[role].groups != 1:
            raise ConfigError(
                f"--from-path {role}={text}: found {patterns[role].groups} groups, expected one "
                f"around the {role}, such as '^([^_]+)_'."
            )
    return patterns


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())
