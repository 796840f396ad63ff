"""How each protocol divides a corpus: pure functions of rows, classes and seed that return folds.

Unless its own text says otherwise, a protocol tests every speaker once, no speaker is in two parts
of a fold, and `choice.validation_speakers` draws who of the training part validates.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ser_keras.errors import ConfigError
from ser_keras.labels import ClassSet
from ser_keras.protocols import choice
from ser_keras.protocols.folds import PARTS, Fold, Row, make_fold

RAVDESS_ACTORS = (
    ("02", "05", "14", "15", "16"),
    ("03", "06", "07", "13", "18"),
    ("10", "11", "12", "19", "20"),
    ("08", "17", "21", "23", "24"),
    ("01", "04", "09", "22"),
)
VALID_PARTS = 10
# The order in which speakers are dealt to groups.
_GENDERS = ("female", "male", "")

Builder = Callable[[Sequence[Row], ClassSet, int], list[Fold]]


@dataclass(frozen=True)
class ProtocolEntry:
    """One row of the table of protocols.

    Args:
        corpus: str. Name of the corpus.
        build: function of rows, class set and seed.
        class_set: str. Its own class set; the corpus's first where empty.
        style: str. The only style it uses; all where empty.
    """

    corpus: str
    build: Builder
    class_set: str = ""
    style: str = ""


def leave_one_speaker_out(rows: Sequence[Row], classes: ClassSet, seed: int) -> list[Fold]:
    """Returns one fold per speaker, who is its test part."""
    del classes
    names = choice.folder_names(row.speaker for row in rows)
    return [
        _test_on(f"speaker-{folder}", (speaker,), rows, rows, seed)
        for speaker, folder in names.items()
    ]


def leave_one_session_out(rows: Sequence[Row], classes: ClassSet, seed: int) -> list[Fold]:
    """Returns one fold per session of the manifest, which is its test part; the next validates.

    A session may be a room, a day, a group of speakers, or a corpus of a table that joins several.
    With two sessions, validation speakers are drawn from the other one.
    """
    del classes
    without = [row.key for row in rows if not row.session]
    if without:
        raise ConfigError(
            f"manifest-session: found {len(without)} rows without a session ({without[0]} is the "
            "first), expected one in each. Fill the column, or take manifest-loso."
        )
    names = choice.folder_names(row.session for row in rows)
    if len(names) < 2:
        raise ConfigError(
            f"manifest-session: found the session {next(iter(names))!r} alone, expected two or "
            "more. Fill the column, or take manifest-loso."
        )
    of_session = {name: [row for row in rows if row.session == name] for name in names}
    sessions, folds = list(names), []
    for number, session in enumerate(sessions):
        following = sessions[(number + 1) % len(sessions)]
        rest = [row for name in sessions if name != session for row in of_session[name]]
        if len(sessions) > 2:
            speakers = {row.speaker for row in of_session[following]}
        else:
            speakers = choice.validation_speakers(rest, session, seed)
        folds.append(
            make_fold(
                f"session-{names[session]}",
                choice.without_speakers(rest, speakers),
                choice.of_speakers(rest, speakers),
                of_session[session],
            )
        )
    return folds


def actor_groups(rows: Sequence[Row], classes: ClassSet, seed: int) -> list[Fold]:
    """Returns five folds, each testing one group of `RAVDESS_ACTORS`, as the literature does."""
    del classes
    return [
        _test_on(f"actors{number}", actors, rows, rows, seed)
        for number, actors in _present_groups(rows)
    ]


def new_sentence_and_actors(rows: Sequence[Row], classes: ClassSet, seed: int) -> list[Fold]:
    """Returns folds that test one statement of one actor group, trained on the other statement.

    Speakers are new as well: a score over shared speakers and new text would measure how well
    voices are recognised. Two statements and five groups make ten folds that test every recording
    once; half of the training actors' recordings, those of the tested statement, are not used.
    """
    del classes
    statements = sorted({row.sentence for row in rows})
    if len(statements) != 2:
        raise ConfigError(
            f"ravdess-sentence: found the statements {', '.join(statements) or 'none'}, expected "
            "two, one to train and one to test. Use the whole corpus."
        )
    spoken = {name: [row for row in rows if row.sentence == name] for name in statements}
    return [
        _test_on(f"statement{test}-actors{number}", actors, spoken[train], spoken[test], seed)
        for train, test in (statements, statements[::-1])
        for number, actors in _present_groups(rows)
    ]


def last_session(rows: Sequence[Row], classes: ClassSet, seed: int) -> list[Fold]:
    """Returns one fold: sessions 1 to 3 train, session 4 validates, session 5 tests."""
    del classes, seed
    parts = (("1", "2", "3"), ("4",), ("5",))
    return [make_fold("session5", *([r for r in rows if r.session in s] for s in parts))]


def partner_validates(rows: Sequence[Row], classes: ClassSet, seed: int) -> list[Fold]:
    """Returns one fold per speaker, who is its test part; the other of the session validates.

    The eight other speakers train: nobody who shares a dialogue with the tested speaker does. Li et
    al. 2018 (attention-pooling CNN), Sec. 3.1, train on all nine others; so does a recipe with
    `select: last`.
    """
    del classes, seed
    return _within_sessions(rows, "speaker-{test}")


def both_directions(rows: Sequence[Row], classes: ClassSet, seed: int) -> list[Fold]:
    """Returns two folds per session: one actor validates and the other tests, and the reverse.

    The other four sessions train. These are the divisions of `partner_validates`, named by session
    as in Zhang et al. 2018 (attention FCN), Sec. III-A, who do not say which actor tests.
    """
    del classes, seed
    return _within_sessions(rows, "session{session}-test-{test}")


def split_column(rows: Sequence[Row], classes: ClassSet, seed: int) -> list[Fold]:
    """Returns one fold that follows the manifest's column `split`.

    Where no row says `valid`, validation speakers are drawn from the rows that say `train`.
    """
    del classes
    without = [row.key for row in rows if row.split not in PARTS]
    if without:
        raise ConfigError(
            f"manifest-split: found {len(without)} rows without a split ({without[0]} is the "
            f"first), expected {', '.join(PARTS)}. Fill the column, or take manifest-loso."
        )
    train, valid, test = ([row for row in rows if row.split == part] for part in PARTS)
    if not valid:
        chosen = choice.validation_speakers(train, "split", seed)
        valid = choice.of_speakers(train, chosen)
        train = choice.without_speakers(train, chosen)
    return [make_fold("split", train, valid, test)]


def speaker_groups(number: int) -> Builder:
    """Returns the builder of a division by groups of speakers, each of which is tested once.

    Women are dealt to the groups in the order of their names, then men, then others: groups have
    equally many of each, but for one, and can be dealt by hand.
    """

    def build(rows: Sequence[Row], classes: ClassSet, seed: int) -> list[Fold]:
        del classes
        gender_of = {row.speaker: row.gender for row in rows}
        order = sorted(gender_of, key=lambda name: (_GENDERS.index(gender_of[name]), name))
        if len(order) < number:
            raise ConfigError(
                f"found {len(order)} speakers, expected at least {number}, one for each group. "
                "Take fewer groups, or the whole corpus."
            )
        return [
            _test_on(f"group{index + 1}", order[index::number], rows, rows, seed)
            for index in range(number)
        ]

    return build


def speaker_dependent(number: int) -> Builder:
    """Returns the builder of a stratified k-fold division in which speakers are shared.

    A tenth of each training part validates, stratified as well.
    """

    def build(rows: Sequence[Row], classes: ClassSet, seed: int) -> list[Fold]:
        parts = choice.stratified_parts(rows, _classes_of(rows, classes), number, [seed])
        folds = []
        for index, test in enumerate(parts):
            rest = [row for part in parts if part is not test for row in part]
            tenths = choice.stratified_parts(
                rest, _classes_of(rest, classes), VALID_PARTS, [seed, index]
            )
            train = [row for tenth in tenths[1:] for row in tenth]
            folds.append(
                make_fold(f"part{index + 1}", train, tenths[0], test, shares_speakers=True)
            )
        return folds

    return build


def _classes_of(rows: Iterable[Row], classes: ClassSet) -> list[str]:
    return [classes.class_of(row.label) or "" for row in rows]


def _test_on(
    name: str,
    speakers: Sequence[str],
    train: Iterable[Row],
    test: Iterable[Row],
    seed: int,
) -> Fold:
    rest = choice.without_speakers(train, speakers)
    chosen = choice.validation_speakers(rest, name, seed)
    return make_fold(
        name,
        choice.without_speakers(rest, chosen),
        choice.of_speakers(rest, chosen),
        choice.of_speakers(test, speakers),
    )


def _present_groups(rows: Iterable[Row]) -> list[tuple[int, tuple[str, ...]]]:
    present = {row.speaker for row in rows}
    unknown = sorted(present - {actor for group in RAVDESS_ACTORS for actor in group})
    if unknown:
        raise ConfigError(
            f"ravdess: found the actors {', '.join(unknown)}, expected 01 to 24. Read the corpus "
            "again, or take ravdess-loso."
        )
    groups = [tuple(actor for actor in group if actor in present) for group in RAVDESS_ACTORS]
    return [(number, group) for number, group in enumerate(groups, start=1) if group]


def _within_sessions(rows: Sequence[Row], name: str) -> list[Fold]:
    folds = []
    for session in sorted({row.session for row in rows}):
        actors = sorted({row.speaker for row in rows if row.session == session})
        if len(actors) != 2:
            raise ConfigError(
                f"session {session!r}: found the speakers {', '.join(actors)}, expected two, one "
                "to validate and one to test. Use the whole corpus."
            )
        others = [row for row in rows if row.session != session]
        for valid, test in (actors, actors[::-1]):
            folds.append(
                make_fold(
                    name.format(session=session, test=test),
                    others,
                    choice.of_speakers(rows, [valid]),
                    choice.of_speakers(rows, [test]),
                )
            )
    return sorted(folds, key=lambda fold: fold.name)


# Those that are not named in the definition of a corpus.
PROTOCOLS = {
    "iemocap-session5": ProtocolEntry("iemocap", last_session),
    "iemocap-improvised-loso": ProtocolEntry(
        "iemocap", partner_validates, "iemocap4-no-excited", "improvised"
    ),
    "iemocap-improvised-session": ProtocolEntry(
        "iemocap", both_directions, "iemocap4-no-excited", "improvised"
    ),
    "ravdess-actor5": ProtocolEntry("ravdess", actor_groups),
    "ravdess-sentence": ProtocolEntry("ravdess", new_sentence_and_actors),
    "casia-loso": ProtocolEntry("casia", leave_one_speaker_out),
    "synthetic-loso": ProtocolEntry("synthetic", leave_one_speaker_out),
    "manifest-split": ProtocolEntry("manifest", split_column),
    "manifest-loso": ProtocolEntry("manifest", leave_one_speaker_out),
    "manifest-session": ProtocolEntry("manifest", leave_one_session_out),
}
