from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ser_keras.corpora import manifest, table_text
from ser_keras.errors import CorpusError
from tests import trees

GOOD = "path,label,speaker,split,gender\na/1.wav,Happy,anna,train,female\nb/1.wav,proud,ben,test,\n"


def refused(root: Path, text: str | bytes, recordings=("1.wav", "2.wav"), **options) -> str:
    """Writes a table, reads it, and returns the sentence it is refused with."""
    table = trees.manifest(root, "", recordings)
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CorpusError) as error:
        manifest.read(table, **options)
    return str(error.value).replace(str(table), "manifest.csv")


def test_rows_become_utterances(tmp_path):
    table = trees.manifest(tmp_path, GOOD, ["a/1.wav", "b/1.wav"])
    first, second = manifest.read(tmp_path)
    assert manifest.read(table) == [first, second]
    assert (first.key, first.label, first.speaker) == ("manifest/a/1", "happy", "anna")
    assert (first.split, first.gender, first.session) == ("train", "female", "")
    assert (second.key, second.label, second.gender) == ("manifest/b/1", "proud", "")
    assert first.path == tmp_path.resolve() / "a" / "1.wav"


def test_byte_order_mark_quotes_blank_lines_and_other_columns_are_accepted(tmp_path):
    text = (
        '\ufeffnote,path, label,speaker\r\n"a, b",1.wav, sad ,anna\r\n\r\n"c\nd",2.wav,sad,ben\r\n'
    )
    trees.manifest(tmp_path, text, ["1.wav", "2.wav"])
    assert [(u.label, u.speaker) for u in manifest.read(tmp_path)] == [
        ("sad", "anna"),
        ("sad", "ben"),
    ]


def test_one_name_in_two_formats_gives_two_keys(tmp_path):
    text = "path,label,speaker\n1.wav,sad,anna\n1.flac,sad,anna\n"
    trees.manifest(tmp_path, text, ["1.wav", "1.flac"])
    assert [u.key for u in manifest.read(tmp_path)] == ["manifest/1", "manifest/1#2"]


def test_names_say_nothing():
    assert manifest.parse_stem("03a01Fa") == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "path,lable,speaker\n1.wav,sad,anna\n",
            "manifest.csv:1: found no column 'label' among path, lable, speaker. Did you mean "
            "'lable'? Rename that column.",
        ),
        ("path;label;speaker\n", "manifest.csv: found no rows below the header"),
        (
            "file;label;speaker\n",
            "manifest.csv:1: found no column 'path' among file, label, speaker. Add it; where "
            "another column holds it, `ser import` writes the table",
        ),
        ("", "manifest.csv:1: found no column 'path' among none. Add it; where"),
        ("path label speaker\n1.wav sad anna\n", "Separate the columns by commas. Expected path,"),
        ("path,label,speaker,label\n", "manifest.csv:1: found the column 'label' twice."),
        ("path,label,speaker\n", "manifest.csv: found no rows below the header"),
        ("path,label,speaker\n1.wav,,anna\n", "manifest.csv:2: found an empty label."),
        ("path,label,speaker\n1.wav,sad, \n", "manifest.csv:2: found an empty speaker."),
        ("path,label,speaker\n1.wav,sad\n", "manifest.csv:2: found 2 fields, expected 3"),
        ("path,label,speaker\n1.wav,sad,a,b\n", "manifest.csv:2: found 4 fields, expected 3"),
        (
            "path,label,speaker\n1.wav,sad,anna\n./1.wav,sad,anna\n",
            "manifest.csv:3: found './1.wav', which is there already at manifest.csv:2.",
        ),
        (
            "path,label,speaker,split\n1.wav,sad,anna,dev\n",
            "manifest.csv:2: found the split 'dev', expected one of train, valid, test, or",
        ),
        (
            "path,label,speaker,gender\n1.wav,sad,anna,F\n",
            "manifest.csv:2: found the gender 'F', expected one of female, male",
        ),
        (
            "path,label,speaker\n1.wav,sad,anna\n\n3.wav,sad,anna\n",
            "manifest.csv:4: found no file '3.wav'",
        ),
        ("path,label,speaker\n.,sad,anna\n", "manifest.csv:2: found no file '.'"),
        ("path,label,speaker\n1\0.wav,sad,anna\n", "manifest.csv:2: found a path with a zero byte"),
        ('path,label,speaker\n1.wav,"sad,anna\n', "found a row that is not CSV"),
        (
            b"path,label,speaker\n1.wav,tr\x81b,anna\n",
            "manifest.csv:2: found the byte 0x81, which is neither UTF-8 nor Windows-1252. Save",
        ),
        (
            "path,label,speaker\n../1.wav,sad,anna\n",
            "found the path '../1.wav', which leads out of",
        ),
        ("path,label,speaker\n/etc/hostname,sad,anna\n", "found the path '/etc/hostname', which"),
    ],
)
def test_refusal_names_file_row_and_cure(tmp_path, text, sentence):
    assert sentence in refused(tmp_path, text)


def test_link_out_of_the_folder_is_refused(tmp_path):
    outside = trees.write_noise(tmp_path / "outside.wav")
    root = tmp_path / "corpus"
    root.mkdir()
    (root / "inside.wav").symlink_to(outside)
    message = refused(root, "path,label,speaker\ninside.wav,sad,anna\n", ())
    assert "'inside.wav', which leads out of" in message


def test_paths_outside_are_read_when_asked(tmp_path):
    trees.write_noise(tmp_path / "1.wav")
    root = tmp_path / "corpus"
    trees.manifest(root, "path,label,speaker\n../1.wav,sad,anna\n")
    assert manifest.read(root, allow_outside=True)[0].path == tmp_path.resolve() / "1.wav"


@pytest.mark.parametrize(
    "written",
    [
        "a/1.wav",
        "./a//1.wav",
        "b/1.wav",
        "b/../a/1.wav",
        "linked.wav",
        "a/../linked.wav",
        "a/b/../1.wav",
    ],
)
def test_links_and_dots_lead_to_the_file_that_they_name(tmp_path, written):
    trees.manifest(tmp_path, f"path,label,speaker\n{written},sad,anna\n", ["a/1.wav", "c/d/1.wav"])
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "linked.wav").symlink_to("a/1.wav")
    (tmp_path / "a" / "b").symlink_to("../c/d")
    (tmp_path / "c" / "1.wav").touch()
    (utterance,) = manifest.read(tmp_path)
    assert utterance.path == (tmp_path / written).resolve()


def test_too_many_rows_are_refused(tmp_path):
    text = "path,label,speaker\n1.wav,sad,anna\n2.wav,sad,anna\n"
    assert "manifest.csv:3: found more than 1 rows." in refused(tmp_path, text, max_rows=1)
    assert len(manifest.read(tmp_path, max_rows=2)) == 2


def test_too_large_a_table_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(table_text, "MAX_BYTES", 20)
    assert "manifest.csv: found 23 bytes, expected at most 20." in refused(tmp_path, "x" * 23)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["..", ".", "a", "link", "1.wav", "", "~"]), max_size=6))
def test_no_path_leads_out(tmp_path, parts):
    root = tmp_path / "corpus"
    if not root.exists():
        trees.write_noise(tmp_path / "1.wav")
        trees.write_noise(root / "a" / "1.wav")
        (root / "link").symlink_to(tmp_path)
    (root / "manifest.csv").write_text(f"path,label,speaker\n{'/'.join(parts)},sad,anna\n")
    try:
        utterances = manifest.read(root)
    except CorpusError:
        return
    assert [u.path for u in utterances] == [root.resolve() / "a" / "1.wav"]


EXPECTED = [("manifest/anna/1", "happy", "anna"), ("manifest/Jörg/2", "trüb", "Jörg")]
ROWS = (
    ("path", "label", "speaker"),
    ("anna/1.wav", "happy", "anna"),
    ("Jörg/2.wav", "trüb", "Jörg"),
)


def table_of(separator=",", rows=ROWS):
    return "".join(separator.join(row) + "\n" for row in rows)


def read_table(root, data):
    table = trees.manifest(root, "", ["anna/1.wav", "Jörg/2.wav"])
    table.write_bytes(data)
    return [(u.key, u.label, u.speaker) for u in manifest.read(table)]


@pytest.mark.parametrize(
    "text",
    [
        table_of(","),
        table_of(";"),
        table_of("\t"),
        table_of("|"),
        "sep=;\n" + table_of(";"),
        '"sep=;"\r\n' + table_of(";").replace("\n", "\r\n"),
        "SEP=\t\n" + table_of("\t"),
        table_of(";").replace("\n", ";;\n") + ";;;;\n",
        table_of(",").replace("path,label", "PATH , Label"),
        table_of(" ; "),
        table_of("\t").replace("anna", "anna  ").replace("anna  /", "anna/"),
        table_of(",").replace("happy,", "happy\u200b,\xa0"),
        table_of(";").replace("\n", "\r"),
        table_of(",").replace("ö", "o\u0308"),
        table_of(",").replace("/", "\\"),
        table_of(";").replace("anna/", ".\\anna\\"),
        table_of(";")
        .replace("speaker", "speaker;note")
        .replace("anna\n", "anna;a, b, c\n")
        .replace("Jörg\n", "Jörg;\n"),
        table_of("\t")
        .replace("speaker", "speaker\ttext")
        .replace("anna\n", 'anna\t"Oh," he\n')
        .replace("Jörg\n", 'Jörg\t5"\n'),
        table_of("\t").replace("happy", '"happy"'),
    ],
)
def test_separators_padding_and_paths_are_those_of_the_table(tmp_path, text):
    assert read_table(tmp_path, text.encode()) == EXPECTED


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_encodings_are_found_out(tmp_path, encoding, separator):
    assert read_table(tmp_path, table_of(separator).encode(encoding)) == EXPECTED


@pytest.mark.parametrize(
    ("word", "encoding"),
    [
        ("złość", "cp1250"),
        ("żal", "cp1250"),
        ("Jürgen", "mac-roman"),
        ("радость", "cp1251"),
        ("χαρά", "cp1253"),
        ("高兴了", "gbk"),
        ("悲しい", "shift-jis"),
    ],
)
def test_letters_of_other_encodings_are_not_taken_for_western_ones(tmp_path, word, encoding):
    text = f"path,label,speaker\n1.wav,{word},anna\n".encode(encoding)
    assert "Save the table as UTF-8." in refused(tmp_path, text)


@pytest.mark.parametrize(
    "word", ["fröhlich", "déçu", "ÄRGER", "¿Qué?", "¿sí?", "glücklich", "créée"]
)
def test_western_words_are_read_as_they_are_spelt(tmp_path, word):
    table = trees.manifest(tmp_path, "", ["1.wav"])
    table.write_bytes(f"path,label,speaker\n1.wav,{word},Müller\n".encode("cp1252"))
    (utterance,) = manifest.read(table)
    assert (utterance.label, utterance.speaker) == (word.lower(), "Müller")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"PK\x03\x04rest", "found a workbook (Excel or LibreOffice), expected a table as text"),
        (b"\xd0\xcf\x11\xe0rest", "found an old Excel workbook"),
        (b"PAR1rest", "found a Parquet file"),
        (b"RIFF\0\0", "found a recording, expected a table"),
        ("path,label\n".encode("utf-16") + b"x", "found UTF-16 that is damaged at byte 24"),
    ],
)
def test_what_is_no_text_is_named(tmp_path, data, sentence):
    assert sentence in refused(tmp_path, data)


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("C:\\data\\1.wav", "It is the path of another computer: write it relative"),
        ("\\\\server\\data\\1.wav", "It is the path of another computer"),
        ("1.WAV", "There is '1.wav': write that"),
        ("1", "There is '1.wav': write that"),
        ("..\\..\\etc\\hostname", "leads out of"),
        ("3.wav", "Correct the path, or remove the row."),
    ],
)
def test_a_path_that_leads_nowhere_gets_its_own_advice(tmp_path, written, sentence):
    assert sentence in refused(tmp_path, f"path,label,speaker\n{written},sad,anna\n")
