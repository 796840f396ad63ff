"""A user's own definitions, and what is said about wrong ones."""

import zlib

import pytest
import yaml

from ser_keras.corpora import OWN_FOLDER, corpus_facts, corpus_names, get_corpus, read_corpus
from ser_keras.errors import ConfigError, CorpusError
from ser_keras.protocols import build_protocol, protocol_names
from tests import trees
from tests.architecture import ROOT

GUIDE = (ROOT / "docs" / "corpus.md").read_text(encoding="utf-8")
# The example that the documentation gives in full.
TEXT = GUIDE.partition("```yaml\n")[2].partition("```")[0]
EXAMPLE = yaml.safe_load(TEXT)
PEOPLE = ("ann01", "ben02", "cem03", "dee04")


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Returns a function that writes a definition with changes, and gives its file."""
    folder = tmp_path / "definitions"
    folder.mkdir()
    monkeypatch.setenv(OWN_FOLDER, str(folder))

    def write(name="callcentre", text=None, **changes):
        path = folder / f"{name}.yaml"
        values = {key: value for key, value in (EXAMPLE | changes).items() if value is not None}
        path.write_text(yaml.safe_dump(values) if text is None else text, encoding="utf-8")
        return path

    return write


def recordings(root):
    for person in PEOPLE:
        for code in EXAMPLE["facts"]["label"]["map"]:
            for number in (1, 2):
                path = root / f"{person}_{code}_s{number}.wav"
                trees.write_noise(path, seed=zlib.crc32(path.name.encode()), seconds=0.5)
    return root


def test_the_example_of_the_guide_is_read(own, tmp_path):
    own(text=TEXT)
    assert "callcentre" in corpus_names()
    utterances = read_corpus("callcentre", recordings(tmp_path / "calls"))
    assert len(utterances) == EXAMPLE["utterances"] == 24
    assert {u.label for u in utterances} == set(EXAMPLE["labels"])
    assert {u.speaker for u in utterances} == set(PEOPLE)
    assert protocol_names("callcentre")[0] == "callcentre-loso"
    folds = build_protocol("callcentre-loso", utterances).folds
    assert [fold.name for fold in folds] == [f"speaker-{name}" for name in PEOPLE]


def test_every_verb_reads_it(own, tmp_path, ser, monkeypatch):
    folder = own().parent
    monkeypatch.setenv(OWN_FOLDER, "")
    root = recordings(tmp_path / "calls")
    code, out, _ = ser("corpora", "--corpora", folder)
    assert code == 0
    assert "callcentre" in out
    monkeypatch.setenv(OWN_FOLDER, "")
    asked = ("--corpus", "callcentre", "--data-dir", root)
    code, _, error = ser("audit", *asked)
    assert code == 2
    assert f"set {OWN_FOLDER} to the folder of its YAML file" in error
    assert ser("audit", *asked, "--protocol", "callcentre-loso", "--corpora", folder)[0] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"utterence": 3}, "unknown key 'utterence'; did you mean 'utterances'"),
        (
            {"facts": EXAMPLE["facts"] | {"label": {"gruop": "emotion"}}},
            r"facts\.label: unknown key 'gruop'; did you mean 'group'",
        ),
        (
            {"pattern": "(?P<speaker>[a-z]+)_(?P<speaker>[a-z]+)"},
            "the pattern has two groups called 'speaker', expected each name once. Rename one",
        ),
        ({"pattern": "(?P<speaker>"}, "the pattern is no regular expression"),
        (
            {"facts": EXAMPLE["facts"] | {"sentence": {"group": "sentense"}}},
            "no such group for sentence: unknown group 'sentense'; did you mean 'sentence'",
        ),
        ({"facts": {"label": {"value": "sad"}}}, "facts has no speaker, which every corpus needs"),
        ({"facts": EXAMPLE["facts"] | {"split": {}}}, r"facts\.split: expected either a group"),
        ({"example": "ann01"}, "found the example 'ann01', expected a name that fits the pattern"),
        (
            {"labels": {"angry": 8, "neutral": 16}},
            "labels and the map of the label differ in",
        ),
        ({"labels": {"anger": 8}}, "found the label 'anger', another word for 'angry'"),
        ({"utterances": 25}, "found 24 utterances in labels, expected the 25 of utterances"),
        ({"protocols": ["lsoo"]}, "found the protocol 'lsoo', expected loso, or groups"),
        ({"number_of_speakers": 2}, "found the protocols loso, groups2, expected none"),
        ({"class_sets": ["emodb9"]}, "unknown class set 'emodb9'; did you mean 'emodb"),
        ({"pattern": None}, "expected a pattern of names or a table"),
        ({"style": "actd"}, "style: unknown value 'actd'; did you mean 'acted'"),
        ({"only": {"facts": {"chanel": "speech"}}}, "only asks for an unknown fact 'chanel'"),
        (
            {
                "table": {"path": "a.csv", "file": "file"},
                "facts": EXAMPLE["facts"] | {"gender": {"column": "sex"}},
            },
            "gender has a column alone, but names have a pattern",
        ),
        ({"download": {"url": "https://a.example/a.zip"}}, "found an archive without a hash"),
        ({"table": {"path": "a.csv"}}, "expected path and file, the column that names the record"),
    ],
)
def test_a_wrong_definition_is_refused_with_its_file(own, changes, message):
    path = own(**changes)
    with pytest.raises(ConfigError, match=message) as error:
        get_corpus("callcentre")
    assert str(error.value).startswith(str(path))


def test_a_file_that_is_no_yaml_is_refused(own):
    own(text="title: [")
    with pytest.raises(ConfigError, match=r"callcentre\.yaml: not readable as YAML"):
        get_corpus("callcentre")
    own(text="just words")
    with pytest.raises(ConfigError, match="expected a mapping of keys to values"):
        get_corpus("callcentre")


@pytest.mark.parametrize("name", ["emodb", "iemocap"])
def test_a_corpus_of_the_project_cannot_be_replaced(own, name):
    own(name)
    with pytest.raises(ConfigError, match=f"found the name {name}, which is a corpus of the proj"):
        corpus_names()


@pytest.mark.parametrize("name", ["Call-Centre", "1calls", "call_centre"])
def test_a_name_that_no_protocol_could_have_is_refused(own, name):
    own(name)
    with pytest.raises(ConfigError, match="expected small letters a to z and digits"):
        corpus_names()


def test_a_folder_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv(OWN_FOLDER, str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"nowhere: found no folder there.*Correct --corpora"):
        corpus_names()


def test_a_pattern_that_matches_nothing_says_so(own, tmp_path):
    own()
    trees.write_noise(tmp_path / "calls" / "one.wav")
    trees.write_noise(tmp_path / "calls" / "two.wav")
    with pytest.raises(CorpusError) as error:
        read_corpus("callcentre", tmp_path / "calls", allow_partial=True)
    assert "found 2 recordings, none with a name of the corpus; the first is one.wav" in str(
        error.value
    )
    assert "expected names such as ann01_ang_s1" in str(error.value)


def test_a_label_that_the_map_does_not_know_is_named(own, tmp_path):
    own()
    trees.write_noise(recordings(tmp_path / "calls") / "ann01_xyz_s1.wav")
    with pytest.raises(CorpusError, match="has emotion 'xyz', expected one of ang, hap, neu"):
        read_corpus("callcentre", tmp_path / "calls")


def test_a_name_without_a_needed_fact_is_refused(own):
    own(pattern="(?P<speaker>[a-z]+[0-9]+)?_(?P<emotion>[a-z]+)_(?P<sentence>s[0-9])")
    with pytest.raises(CorpusError, match="file '_ang_s1' has no speaker, expected one as in ann"):
        get_corpus("callcentre").parse_stem("_ang_s1")


def test_an_edited_file_is_read_again(own):
    own()
    assert get_corpus("callcentre").info.title == EXAMPLE["title"]
    own(title="Another title")
    assert get_corpus("callcentre").info.title == "Another title"


def test_facts_of_a_corpus_that_is_unknown_here_are_its_name():
    facts = corpus_facts("callcentre")
    assert (facts.title, facts.licence) == ("callcentre", "not known here")
    assert corpus_facts("emodb").title == "EmoDB"


TABLE_FACTS = {
    "label": {"column": "emotion", "map": EXAMPLE["facts"]["label"]["map"]},
    "speaker": {"column": "agent"},
}


@pytest.fixture
def calls(own, tmp_path):
    own(
        pattern=None,
        example=None,
        facts=TABLE_FACTS,
        table={"path": "calls.csv", "file": "file", "folder": "audio"},
        utterances=2,
        labels={"angry": 1, "neutral": 1, "happy": 0},
        number_of_speakers=None,
        protocols=[],
    )
    for name in ("1", "2"):
        trees.write_noise(tmp_path / "calls" / "audio" / f"{name}.wav")

    def read(rows, folder="", **options):
        table = tmp_path / "calls" / "calls.csv"
        table.write_text("file,emotion,agent\n" + rows, encoding="utf-8")
        return read_corpus("callcentre", tmp_path / "calls" / folder, **options)

    return read


@pytest.mark.parametrize("folder", ["", "audio"])
def test_rows_give_the_facts(calls, folder):
    utterances = calls("2.wav,ang,ben\n1.wav,neu,ann\n", folder)
    assert [(u.key, u.label, u.speaker) for u in utterances] == [
        ("callcentre/1", "neutral", "ann"),
        ("callcentre/2", "angry", "ben"),
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("1.wav,neu,ann\n", r"no row of 1 recordings, such as 2\.wav"),
        ("1.wav,neu,ann\n2.wav,ang,ben\n3.wav,ang,ben\n", r"no recording for 1 rows.*3\.wav"),
        ("1.wav,neu,ann\n2.wav,mad,ben\n", "has emotion 'mad', expected one of ang, hap, neu"),
        ("1.wav,neu,ann\n2.wav,ang,\n", r"calls\.csv:3: found an empty agent"),
    ],
)
def test_what_does_not_fit_is_refused(calls, rows, message):
    with pytest.raises(CorpusError, match=message):
        calls(rows)


def test_a_part_may_lack_rows_and_recordings(calls, caplog):
    utterances = calls("1.wav,neu,ann\n3.wav,ang,ben\n", allow_partial=True)
    assert [u.speaker for u in utterances] == ["ann"]
    assert "no recording for 1 rows" in caplog.text


def test_a_missing_table_is_named(calls, tmp_path):
    calls("1.wav,neu,ann\n2.wav,ang,ben\n")
    (tmp_path / "calls" / "calls.csv").unlink()
    with pytest.raises(CorpusError, match=r"found no table calls\.csv, which holds the labels"):
        read_corpus("callcentre", tmp_path / "calls")
