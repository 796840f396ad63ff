"""The reader of all corpora that a YAML file defines: labels in names, in a table, or in both."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from pathlib import Path

from ser_keras.corpora.base import (
    Corpus,
    CorpusInfo,
    Utterance,
    audio_files,
    check_complete,
    look_up,
    match_name,
    require_folder,
    unique_keys,
)
from ser_keras.corpora.csv_table import read_rows
from ser_keras.corpora.definition import REQUIRED_FACTS, CorpusDefinition, load_definition
from ser_keras.corpora.definition_sections import NAME_IN_PATH, path_pattern_of, pattern_of
from ser_keras.errors import CorpusError

_MAX_ROWS = 1_000_000
_UTTERANCE_FACTS = {field.name for field in fields(Utterance)} - {"key", "path", "corpus", "style"}

_log = logging.getLogger(__name__)


class DefinedCorpus:
    """A corpus as its definition describes it.

    Args:
        name: str. Name on the command line.
        definition: what its YAML file says.
    """

    def __init__(self, name: str, definition: CorpusDefinition):
        self.definition = definition
        self.info: CorpusInfo = definition.info(name)
        self._pattern = pattern_of(definition.pattern)
        self._path_pattern = path_pattern_of(definition.pattern)
        self._depth = definition.example.count("/") + 1

    def parse_stem(self, stem: str) -> dict[str, str]:
        """Returns the facts that one recording's name states; nothing where a table does.

        Args:
            stem: str. The name without its suffix; with the folders that the pattern covers.

        Raises:
            CorpusError: the name does not follow the corpus.
        """
        if not self.definition.pattern:
            return {}
        match = match_name(
            self._pattern,
            stem.lower() if self.definition.ignore_case else stem,
            example=self.definition.example,
            info=self.info,
            cure=self.definition.remedy,
        )
        facts = {}
        for name, fact in self.definition.facts.items():
            code = fact.in_block(match[fact.group] or "") if fact.group else fact.value
            if fact.group and fact.meanings and (code or name in REQUIRED_FACTS):
                code = look_up(fact.meanings, code, kind=fact.group, stem=stem, info=self.info)
            if code:
                facts[name] = code
            elif name in REQUIRED_FACTS:
                raise CorpusError(
                    f"{self.info.title}: file {stem!r} has no {name}, expected one as in "
                    f"{self.definition.example}. Remove or rename the file."
                )
        return facts

    def read(self, root: str | Path, *, allow_partial: bool = False) -> list[Utterance]:
        """Returns the recordings below `root`, sorted by path.

        Args:
            root: the folder of the corpus, at any depth above its recordings.
            allow_partial: accept a part of the corpus, or a copy that holds recordings twice; the
                second copies get keys that end in `#2`.

        Raises:
            CorpusError: no such folder, files with other names, a table that disagrees with them,
                or counts other than the published.
        """
        root = Path(root)
        require_folder(root, self.info)
        paths = audio_files(root)
        if self.definition.pattern:
            recordings = self._by_name(paths, root)
            table = self._table(root)
            if self.definition.table.path and table.is_file():
                self._check_table(table, recordings, allow_partial=allow_partial)
        else:
            recordings = self._by_table(paths, root, allow_partial=allow_partial)
        utterances = unique_keys(recordings)
        check_complete(utterances, self.info, root, allow_partial=allow_partial)
        return utterances

    def _by_name(self, paths: Sequence[Path], root: Path) -> list[Utterance]:
        names = {path: self._name_of(path) for path in paths}
        strangers = [path for path, name in names.items() if not name]
        if strangers and len(strangers) == len(paths):
            raise CorpusError(
                f"{self.info.title} at {root}: found {len(paths)} recordings, none with a name of "
                f"the corpus; the first is {strangers[0].relative_to(root)}, expected names such "
                f"as {self.definition.example}. Give the folder of the corpus, or correct the "
                "pattern of its definition."
            )
        if strangers:
            self.parse_stem("/".join(strangers[0].with_suffix("").parts[-self._depth :]))
        recordings = []
        left_out = 0
        for path, name in names.items():
            facts = self.parse_stem(name)
            if any(facts.get(fact) != value for fact, value in self.definition.only.facts.items()):
                left_out += 1
                continue
            recordings.append(self._utterance(name.replace("/", "-"), path, facts))
        if left_out:
            others = self.definition.only.others
            _log.warning("%s at %s: left out %d %s.", self.info.title, root, left_out, others)
        return recordings

    def _name_of(self, path: Path) -> str:
        """Returns the end of a path that fits the pattern, or nothing."""
        text = path.absolute().with_suffix("").as_posix()
        match = self._path_pattern.fullmatch(text.lower() if self.definition.ignore_case else text)
        return match[NAME_IN_PATH] if match else ""

    def _utterance(self, stem: str, path: Path, facts: Mapping[str, str]) -> Utterance:
        known = {name: fact for name, fact in facts.items() if name in _UTTERANCE_FACTS}
        corpus = self.info.name
        return Utterance(
            f"{corpus}/{stem}", path, corpus=corpus, style=self.definition.style, **known
        )

    def _table(self, root: Path) -> Path:
        rule = self.definition.table
        beside = bool(rule.folder) and root.name == rule.folder
        return (root.parent if beside else root) / rule.path

    def _columns(self) -> dict[str, str]:
        return {name: fact.column for name, fact in self.definition.facts.items() if fact.column}

    def _check_table(
        self, table: Path, recordings: Sequence[Utterance], *, allow_partial: bool
    ) -> None:
        """Raises CorpusError where a row contradicts a name, or a recording has no row."""
        rule, columns = self.definition.table, self._columns()
        required = (rule.file, *columns.values())
        limit = self.info.utterances or _MAX_ROWS
        stems = set()
        for where, row in read_rows(table, required=required, optional=(), max_rows=limit):
            stem = Path(row[rule.file]).stem
            stems.add(stem)
            stated = self.parse_stem(stem)
            for name, column in columns.items():
                value = self.definition.facts[name].meanings.get(row[column], row[column])
                if value != stated[name]:
                    raise CorpusError(
                        f"{where}: found {name} {value!r} of {stem}, expected {stated[name]!r} as "
                        "its name says. Get the corpus again."
                    )
        paths = [recording.path for recording in recordings]
        _refuse_without_row(table, paths, stems, allow_partial=allow_partial)

    def _by_table(
        self, paths: Sequence[Path], root: Path, *, allow_partial: bool
    ) -> list[Utterance]:
        rule, columns = self.definition.table, self._columns()
        table = self._table(root)
        if not paths:
            return []
        if not table.is_file():
            raise CorpusError(
                f"{self.info.title} at {root}: found no table {rule.path}, which holds the labels. "
                f"{self.info.access}"
            )
        path_of = {path.stem: path for path in reversed(paths)}
        constant = {n: f.value for n, f in self.definition.facts.items() if f.value}
        required = (rule.file, *columns.values())
        recordings, missing = [], []
        for where, row in read_rows(table, required=required, optional=(), max_rows=_MAX_ROWS):
            stem = Path(row[rule.file]).stem
            if stem not in path_of:
                missing.append(f"{where}: {row[rule.file]}")
                continue
            facts = {
                name: self._meaning(name, row[column], stem) for name, column in columns.items()
            }
            recordings.append(self._utterance(stem, path_of[stem], constant | facts))
        if missing:
            sentence = f"found no recording for {len(missing)} rows; the first is {missing[0]}."
            if not allow_partial:
                raise CorpusError(
                    f"{self.info.title} at {root}: {sentence} Get the corpus again, or pass "
                    "--allow-partial."
                )
            _log.warning("%s at %s: %s They are left out.", self.info.title, root, sentence)
        stems = {utterance.path.stem for utterance in recordings}
        _refuse_without_row(table, paths, stems, allow_partial=allow_partial)
        return sorted(recordings, key=lambda utterance: utterance.path)

    def _meaning(self, name: str, code: str, stem: str) -> str:
        fact = self.definition.facts[name]
        if not fact.meanings:
            return code
        return look_up(fact.meanings, code, kind=fact.column, stem=stem, info=self.info)


def defined_corpus(name: str, path: Path) -> Corpus:
    """Returns the corpus that a YAML file defines.

    Args:
        name: str. Name on the command line.
        path: the file.

    Raises:
        ConfigError: the file is no definition of a corpus.
    """
    return _corpus(name, path, path.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _corpus(name: str, path: Path, modified_ns: int) -> Corpus:
    # A file that is edited while the program runs is read again.
    del modified_ns
    corpus = DefinedCorpus(name, load_definition(path))
    return Corpus(corpus.info, corpus.parse_stem, corpus.read, corpus.definition)


def _refuse_without_row(
    table: Path, paths: Sequence[Path], stems: set[str], *, allow_partial: bool
) -> None:
    without = [path.name for path in paths if path.stem not in stems]
    if without and not allow_partial:
        raise CorpusError(
            f"{table}: found no row of {len(without)} recordings, such as {without[0]}. Get the "
            "corpus again, or pass --allow-partial."
        )
