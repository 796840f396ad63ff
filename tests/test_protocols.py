import json
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_keras.corpora import corpus_names, get_corpus
from ser_keras.corpora.base import Utterance
from ser_keras.errors import ConfigError, LeakageError, SchemaError
from ser_keras.labels import CLASS_SETS
from ser_keras.protocols import (
    PARTS,
    PROTOCOLS,
    RAVDESS_ACTORS,
    Protocol,
    build_protocol,
    make_fold,
    protocol_names,
)
from ser_keras.protocols.choice import folder_names

EMOTIONS = CLASS_SETS["ravdess8"].classes
FOUR = CLASS_SETS["emodb4"].classes


def row(corpus, speaker, label, number=0, **more):
    name = f"{corpus}/{speaker}-{label}-{number}{more.get('sentence', '')}{more.get('style', '')}"
    return Utterance(name, Path(f"{name}.wav"), label, speaker, corpus, **more)


def ravdess():
    return [
        row(
            "ravdess",
            f"{actor:02}",
            label,
            number,
            sentence=sentence,
            gender="male" if actor % 2 else "female",
        )
        for actor in range(1, 25)
        for label in EMOTIONS
        for number in range(2)
        for sentence in ("01", "02")
    ]


def iemocap():
    return [
        row(
            "iemocap",
            f"Ses0{session}{letter}",
            label,
            number,
            session=str(session),
            gender={"F": "female", "M": "male"}[letter],
            style=style,
        )
        for session in range(1, 6)
        for letter in "FM"
        for label in (*FOUR, "excited")
        for number in range(2)
        for style in ("improvised", "scripted")
    ]


def people(corpus, number, labels=FOUR, per_label=2):
    return [
        row(corpus, f"p{i:02}", label, n, gender=("female", "male")[i % 2], sentence=str(n))
        for i in range(number)
        for label in labels
        for n in range(per_label)
    ]


def utterances_for(name):
    corpus = name.partition("-")[0]
    if corpus == "ravdess":
        return ravdess()
    if corpus == "iemocap":
        return iemocap()
    classes = get_corpus(corpus).info.class_sets
    rows = people(corpus, 10, CLASS_SETS[classes[0]].classes if classes else FOUR)
    splits = ["train", "train", "valid", "test"]
    parts = {r.speaker: splits[int(r.speaker[1:]) % 4] for r in rows if r.speaker[1:].isdigit()}
    if corpus != "manifest":
        return rows
    return [
        replace(r, split=parts[r.speaker], session=f"day{int(r.speaker[1:]) % 3}") for r in rows
    ]


NAMES = sorted({name for corpus in corpus_names() for name in protocol_names(corpus)})
ONCE = [name for name in NAMES if name not in ("iemocap-session5", "manifest-split")]


def speakers_of(rows, keys):
    by_key = {r.key: r for r in rows}
    return {by_key[key].speaker for key in keys}


def test_the_table_holds_the_named_protocols():
    assert set(PROTOCOLS) == {
        *("iemocap-session5", "iemocap-improvised-loso", "iemocap-improvised-session"),
        *("ravdess-actor5", "ravdess-sentence", "casia-loso"),
        *("synthetic-loso", "manifest-split", "manifest-loso", "manifest-session"),
    }
    assert {"emodb-loso", "nemo-loso", "ravdess-loso"} < set(NAMES)
    assert set(PROTOCOLS) < set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_parts_of_a_fold_are_sorted_disjoint_and_filled(name):
    rows = utterances_for(name)
    known = {r.key for r in rows}
    protocol = build_protocol(name, rows, seed=3)
    assert len({fold.name for fold in protocol.folds}) == len(protocol.folds)
    for fold in protocol.folds:
        parts = [getattr(fold, part) for part in PARTS]
        assert all(parts)
        assert all(list(part) == sorted(set(part)) for part in parts)
        assert sum(map(len, parts)) == len(set().union(*parts))
        assert set().union(*parts) <= known


@pytest.mark.parametrize("name", [n for n in NAMES if "speaker-dependent" not in n])
def test_no_speaker_is_in_two_parts_unless_the_name_says_so(name):
    rows = utterances_for(name)
    protocol = build_protocol(name, rows)
    assert not protocol.shares_speakers
    for fold in protocol.folds:
        for first, second in combinations(PARTS, 2):
            keys = getattr(fold, first), getattr(fold, second)
            assert not speakers_of(rows, keys[0]) & speakers_of(rows, keys[1])


@pytest.mark.parametrize("name", ONCE)
def test_every_utterance_of_the_class_set_is_tested_once(name):
    rows = utterances_for(name)
    protocol = build_protocol(name, rows)
    style = PROTOCOLS[name].style if name in PROTOCOLS else ""
    expected = sorted(
        r.key
        for r in rows
        if protocol.class_set.class_of(r.label) and (not style or r.style == style)
    )
    assert sorted(key for fold in protocol.folds for key in fold.test) == expected


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_utterances_and_other_corpora_change_nothing(name):
    rows = utterances_for(name)
    unrelated_corpus = "emodb" if not name.startswith("emodb") else "casia"
    before = build_protocol(name, rows, seed=1)
    after = build_protocol(name, [*people(unrelated_corpus, 5), *reversed(rows)], seed=1)
    assert after == before
    assert after.sha256 == before.sha256


@given(st.integers(5, 12), st.integers(0, 99))
def test_a_new_speaker_moves_no_old_utterance_into_or_out_of_a_test_part(number, seed):
    rows = people("synthetic", number)
    new = [replace(r, key=f"{r.key}-new", speaker="new") for r in rows if r.speaker == "p00"]
    before = build_protocol("synthetic-loso", rows, seed=seed)
    after = build_protocol("synthetic-loso", rows + new, seed=seed)
    fold_after = {fold.name: fold for fold in after.folds}
    for fold in before.folds:
        grown = fold_after[fold.name]
        assert grown.test == fold.test
        assert speakers_of(rows + new, grown.valid) <= {*speakers_of(rows, fold.valid), "new"}


@given(st.integers(2, 9), st.integers(0, 99), st.integers(10, 30))
def test_speaker_dependent_parts_are_stratified(parts, seed, per_label):
    rows = people("synthetic", 2, per_label=per_label)
    protocol = build_protocol(f"synthetic-speaker-dependent-{parts}", rows, seed=seed)
    label_of = {r.key: r.label for r in rows}
    assert protocol.shares_speakers
    assert len(protocol.folds) == parts
    for fold in protocol.folds:
        assert abs(len(fold.test) - len(rows) / parts) < 1
        assert abs(len(fold.valid) - (len(rows) - len(fold.test)) / 10) < 1
        counts = Counter(label_of[key] for key in fold.test)
        assert all(abs(counts[label] - 2 * per_label / parts) < 1 for label in FOUR)


@given(st.integers(2, 6), st.integers(6, 20), st.integers(0, 9))
def test_speakers_are_dealt_to_groups_by_gender_and_name(parts, number, seed):
    rows = people("shemo", number)
    gender_of = {r.speaker: r.gender for r in rows}
    protocol = build_protocol(f"shemo-groups{parts}", rows, seed=seed)
    tested = [sorted(speakers_of(rows, fold.test)) for fold in protocol.folds]
    assert [fold.name for fold in protocol.folds] == [f"group{n + 1}" for n in range(parts)]
    assert sorted(name for group in tested for name in group) == sorted(gender_of)
    for gender in ("female", "male"):
        counts = [sum(gender_of[name] == gender for name in group) for group in tested]
        assert max(counts) - min(counts) <= 1
    assert tested[0][0] == "p00"


@pytest.mark.parametrize(
    ("name", "number", "message"),
    [
        ("shemo-groups10", 4, "found 4 speakers, expected at least 10, one for each group"),
        ("shemo-groups1", 4, "unknown protocol 'shemo-groups1'; did you mean"),
        ("iemocap-loso", 4, "unknown protocol 'iemocap-loso'; did you mean"),
        ("emobd-loso", 4, "did you mean 'emodb-loso'"),
        ("zzz-loso", 4, r"'zzz-loso': unknown corpus 'zzz'. Known: aesdd.*set SER_KERAS_CORPORA"),
        ("tess-loso", 4, "cannot test new speakers. TESS has two speakers"),
    ],
)
def test_groups_and_speakers_that_there_are_not_are_refused(name, number, message):
    with pytest.raises(ConfigError, match=message):
        build_protocol(name, people(name.partition("-")[0], number))


def test_a_seed_changes_the_choice_and_nothing_else_does():
    rows = ravdess()
    folds = [build_protocol("ravdess-actor5", rows, seed=seed).folds for seed in (0, 0, 1)]
    assert folds[0] == folds[1]
    assert [f.test for f in folds[0]] == [f.test for f in folds[2]]
    assert [f.valid for f in folds[0]] != [f.valid for f in folds[2]]


def test_actor_groups_are_those_of_the_literature():
    rows = ravdess()
    gender_of = {r.speaker: r.gender for r in rows}
    protocol = build_protocol("ravdess-actor5", rows)
    assert sorted(sum(RAVDESS_ACTORS, ())) == sorted(gender_of)
    assert RAVDESS_ACTORS[0] == ("02", "05", "14", "15", "16")
    for fold, group in zip(protocol.folds, RAVDESS_ACTORS, strict=True):
        assert speakers_of(rows, fold.test) == set(group)
        valid = speakers_of(rows, fold.valid)
        assert sorted(gender_of[actor] for actor in valid) == ["female", "male"]


def test_the_sentence_protocol_tests_new_text_by_new_speakers():
    rows = ravdess()
    sentence_of = {r.key: r.sentence for r in rows}
    protocol = build_protocol("ravdess-sentence", rows)
    assert (len(protocol.folds), protocol.shares_sentences) == (10, False)
    for fold in protocol.folds:
        trained = {sentence_of[key] for key in fold.train + fold.valid}
        assert len(trained) == 1
        assert trained.isdisjoint(sentence_of[key] for key in fold.test)
    assert build_protocol("ravdess-actor5", rows).shares_sentences


def test_session5_tests_the_last_session_and_validates_on_the_fourth():
    rows = iemocap()
    (fold,) = build_protocol("iemocap-session5", rows).folds
    session_of = {r.key: r.session for r in rows}
    sessions = [{session_of[key] for key in getattr(fold, part)} for part in PARTS]
    assert sessions == [{"1", "2", "3"}, {"4"}, {"5"}]
    assert len(fold.test) == 2 * 5 * 4


def test_improvised_protocols_leave_out_excited_and_scripted_and_pair_the_actors():
    rows = iemocap()
    by_key = {r.key: r for r in rows}
    for name in ("iemocap-improvised-loso", "iemocap-improvised-session"):
        protocol = build_protocol(name, rows)
        assert protocol.class_set.name == "iemocap4-no-excited"
        assert len(protocol.folds) == 10
        for fold in protocol.folds:
            used = [by_key[key] for key in fold.train + fold.valid + fold.test]
            assert {r.style for r in used} == {"improvised"}
            assert "excited" not in {r.label for r in used}
            (test,), (valid,) = speakers_of(rows, fold.test), speakers_of(rows, fold.valid)
            assert test[:5] == valid[:5]
            assert len(speakers_of(rows, fold.train)) == 8


def test_absent_classes_of_a_speaker_are_no_error():
    rows = [
        r
        for r in people("emodb", 5, CLASS_SETS["emodb7"].classes)
        if (r.speaker, r.label) != ("p01", "disgusted")
    ]
    assert len(build_protocol("emodb-loso", rows).folds) == 5


@pytest.mark.parametrize(("number", "trained"), [(3, 1), (4, 2), (5, 2), (10, 7)])
def test_few_speakers_leave_some_to_train_on(number, trained):
    rows = people("synthetic", number)
    for fold in build_protocol("synthetic-loso", rows).folds:
        assert len(speakers_of(rows, fold.train)) == trained


def test_unknown_genders_give_one_validation_speaker():
    rows = [replace(r, gender="") for r in people("synthetic", 8)]
    for fold in build_protocol("synthetic-loso", rows).folds:
        assert len(speakers_of(rows, fold.valid)) == 1


def test_manifest_follows_its_column_and_draws_validation_where_it_is_missing():
    rows = utterances_for("manifest-split")
    (fold,) = build_protocol("manifest-split", rows).folds
    for part in PARTS:
        assert set(getattr(fold, part)) == {r.key for r in rows if r.split == part}
    merged = [replace(r, split=r.split.replace("valid", "train")) for r in rows]
    (drawn,) = build_protocol("manifest-split", merged).folds
    assert drawn.test == fold.test
    assert set(drawn.train + drawn.valid) == set(fold.train + fold.valid)
    assert not speakers_of(rows, drawn.train) & speakers_of(rows, drawn.valid)


def test_manifest_refuses_shared_speakers_and_empty_cells():
    rows = utterances_for("manifest-split")
    moved = [replace(rows[0], split="test"), *rows[1:]]
    with pytest.raises(LeakageError, match=r"1 speakers in both train and test \(p00\)"):
        build_protocol("manifest-split", moved)
    with pytest.raises(ConfigError, match="1 rows without a split"):
        build_protocol("manifest-split", [replace(rows[0], split=""), *rows[1:]])
    no_test = [r for r in rows if r.split != "test"]
    with pytest.raises(ConfigError, match="no utterances for the part 'test'"):
        build_protocol("manifest-split", no_test)


def test_a_session_of_a_manifest_is_tested_and_the_next_one_validates():
    rows = utterances_for("manifest-session")
    folds = build_protocol("manifest-session", rows).folds
    assert [fold.name for fold in folds] == ["session-day0", "session-day1", "session-day2"]
    for number, fold in enumerate(folds):
        for part, day in zip(("test", "valid", "train"), range(number, number + 3), strict=True):
            keys = {r.key for r in rows if r.session == f"day{day % 3}"}
            assert set(getattr(fold, part)) == keys
    two = [r for r in rows if r.session != "day2"]
    for fold in build_protocol("manifest-session", two).folds:
        assert not speakers_of(two, fold.train) & speakers_of(two, fold.valid)
        assert len(fold.train) >= len(fold.valid) > 0


def test_sessions_of_a_manifest_are_complete_and_share_nobody():
    rows = utterances_for("manifest-session")
    with pytest.raises(ConfigError, match="1 rows without a session"):
        build_protocol("manifest-session", [replace(rows[0], session=""), *rows[1:]])
    with pytest.raises(ConfigError, match="the session 'day0' alone"):
        build_protocol("manifest-session", [r for r in rows if r.session == "day0"])
    moved = [replace(rows[0], session="day1"), *rows[1:]]
    with pytest.raises(LeakageError, match="1 speakers in both"):
        build_protocol("manifest-session", moved)


def test_names_of_speakers_never_lead_out_of_a_folder():
    rows = people("manifest", 4)
    odd = dict(zip(["p00", "p01", "p02", "p03"], ["../../x", "a/b", "A-B", ""], strict=True))
    rows = [replace(r, speaker=odd[r.speaker]) for r in rows]
    names = [fold.name for fold in build_protocol("manifest-loso", rows).folds]
    assert all(Path(name).name == name and name.isprintable() for name in names)
    assert len({name.lower() for name in names}) == 4


@pytest.mark.parametrize(
    ("speakers", "folders"),
    [
        (("王芳", "李伟", "张敏"), ("王芳", "李伟", "张敏")),
        (("José", "JOSE\u0301", "Łukasz B."), ("José-2", "JOSÉ", "Łukasz-B")),
        (("Анна", "анна", "Ольга"), ("Анна", "анна-2", "Ольга")),
        (("प्रिया", "नेहा", "アンナ"), ("प्रिया", "नेहा", "アンナ")),
        (("S01", "s01", "s01-2"), ("S01", "s01-2", "s01-2-2")),
        (("\U0001f600", "?!", "../x"), ("u1f600", "u3f-u21", "x")),
    ],
)
def test_folds_are_named_after_speakers_in_any_script(speakers, folders):
    rows = people("manifest", 3)
    names = dict(zip(["p00", "p01", "p02"], speakers, strict=True))
    rows = [replace(r, speaker=names[r.speaker]) for r in rows]
    folds = build_protocol("manifest-loso", rows).folds
    of_speaker = {next(iter(speakers_of(rows, fold.test))): fold.name for fold in folds}
    plain = [of_speaker[speaker].removeprefix("speaker-") for speaker in speakers]
    assert tuple(plain) == folders


@given(st.lists(st.text(min_size=1, max_size=300), min_size=1, max_size=6))
def test_any_name_is_a_folder_that_a_file_system_bears(tmp_path_factory, names):
    folders = folder_names(names)
    root = tmp_path_factory.mktemp("folds")
    for folder in folders.values():
        (root / f"speaker-{folder}").mkdir()
    assert len({folder.casefold() for folder in folders.values()}) == len(set(names))


@pytest.mark.parametrize(
    ("name", "rows", "options", "message"),
    [
        ("emodb-losso", people("emodb", 4), {}, "did you mean 'emodb-loso'"),
        ("emodb-speaker-dependent-1", people("emodb", 4), {}, "unknown protocol"),
        ("nobody-speaker-dependent-5", people("emodb", 4), {}, "unknown protocol"),
        ("emodb-loso", people("casia", 4), {}, "no utterances of the corpus emodb"),
        ("emodb-loso", people("emodb", 4), {}, r"class set emodb4 \(in commands: --cl"),
        ("emodb-loso", people("emodb", 4), {"class_set": "emodb8"}, "did you mean"),
        ("emodb-loso", people("emodb", 2), {"class_set": "emodb4"}, "1 speakers besides the test"),
        ("emodb-loso", people("emodb", 4) * 2, {"class_set": "emodb4"}, "more than once"),
        ("iemocap-improvised-loso", iemocap()[::20], {}, "expected some of each class"),
        ("iemocap-session5", [r for r in iemocap() if r.session != "5"], {}, "part 'test'"),
        ("ravdess-sentence", [r for r in ravdess() if r.sentence == "01"], {}, "expected two"),
    ],
)
def test_what_cannot_be_built_is_said(name, rows, options, message):
    with pytest.raises(ConfigError, match=message):
        build_protocol(name, rows, **options)


def test_unknown_actors_are_named():
    with pytest.raises(ConfigError, match="actors 25"):
        build_protocol("ravdess-actor5", [*ravdess(), row("ravdess", "25", "calm")])


def test_a_fold_refuses_what_is_in_two_parts():
    rows = people("synthetic", 3)
    parts = defaultdict(list)
    for r in rows:
        parts[r.speaker].append(r)
    train, valid, test = parts.values()
    with pytest.raises(LeakageError, match="1 speakers in both train and valid"):
        make_fold("x", [*train, valid[0]], valid[1:], test)
    make_fold("x", [*train, valid[0]], valid[1:], test, shares_speakers=True)
    with pytest.raises(LeakageError, match="1 utterances in both valid and test"):
        make_fold("x", train, [*valid, test[0]], test, shares_speakers=True)


@pytest.fixture
def saved(tmp_path):
    protocol = build_protocol("iemocap-session5", iemocap())
    protocol.save(tmp_path / "protocol.json")
    return protocol, tmp_path / "protocol.json"


def test_a_saved_protocol_is_the_same_when_loaded(saved):
    protocol, path = saved
    loaded = Protocol.load(path)
    assert loaded == protocol
    assert loaded.sha256 == protocol.sha256
    assert loaded.class_set.class_of("excited") == "happy"
    assert [p.name for p in path.parent.iterdir()] == ["protocol.json"]
    assert Protocol.from_json(json.loads(json.dumps(protocol.to_json()))) == protocol


def _move(values):
    values["folds"][0]["train"].append(values["folds"][0]["test"].pop())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_move, "was changed after it was saved"),
        (lambda v: v.update(seed=1), "was changed after it was saved"),
        (lambda v: v["class_set"]["classes"].reverse(), "was changed after it was saved"),
        (lambda v: v.pop("sha256"), "was changed after it was saved"),
        (lambda v: v.update(format=9), "found format 9"),
        (lambda v: v.pop("corpus"), "cannot read 'corpus'"),
        (lambda v: v.update(folds=[3]), "cannot read"),
    ],
)
def test_tampering_is_found(saved, change, message):
    _, path = saved
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(SchemaError, match=message):
        Protocol.load(path)


def test_a_fold_whose_name_leads_elsewhere_is_refused(saved):
    protocol, path = saved
    forged = replace(protocol, folds=(replace(protocol.folds[0], name="../../esc"),))
    forged.save(path)
    with pytest.raises(SchemaError, match=r"protocol, fold: found the name '../../esc'"):
        Protocol.load(path)


@pytest.mark.parametrize("text", ["", "[]", "{", "\xff"])
def test_what_is_no_protocol_is_refused(tmp_path, text):
    path = tmp_path / "protocol.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SchemaError, match=r"protocol\.json"):
        Protocol.load(path)
    with pytest.raises(SchemaError, match="no protocol that can be read"):
        Protocol.load(tmp_path / "none.json")


def test_a_label_outside_the_asked_class_set_is_left_out_of_a_published_corpus():
    rows = people("cremad", 4, (*FOUR, "fearful", "disgusted"))
    protocol = build_protocol("cremad-loso", rows, class_set="emodb4")
    tested = {key for fold in protocol.folds for key in fold.test}
    assert {r.label for r in rows if r.key in tested} == set(FOUR)
    assert build_protocol("cremad-loso", rows).class_set.classes == (
        *("neutral", "happy", "sad", "angry", "fearful", "disgusted"),
    )


def test_a_label_outside_the_asked_class_set_is_refused_where_a_person_wrote_it():
    rows = [
        Utterance(f"manifest/{label}{n}", Path(f"{n}.wav"), label, f"s{n}", "manifest")
        for n in range(4)
        for label in ("angry", "happy", "neutral", "sad")
    ]
    rows.append(Utterance("manifest/odd", Path("odd.wav"), "hapy", "s0", "manifest"))
    with pytest.raises(ConfigError, match="unknown label 'hapy'; did you mean 'happy'"):
        build_protocol("manifest-loso", rows, class_set="emodb4")
    assert "hapy" in build_protocol("manifest-loso", rows).class_set.classes
