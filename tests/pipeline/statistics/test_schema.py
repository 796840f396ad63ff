import pytest
import yaml

from pipeline.statistics.schema import DataSchema
from pipeline.statistics.validation import validate
from ser_keras.errors import ConfigError, SchemaError
from tests.pipeline.statistics.example_statistics import example_rows, row, statistics


@pytest.fixture
def drafted(tmp_path):
    """(statistics, the draft's file)."""
    drafted_from = statistics(example_rows())
    DataSchema.draft(drafted_from).write_new(tmp_path / "schema.yaml", drafted_from)
    return drafted_from, tmp_path / "schema.yaml"


def test_data_fit_the_schema_that_is_drafted_from_them(drafted):
    drafted_from, path = drafted
    schema = DataSchema.load(path)
    assert schema == DataSchema.load(path.parent) == DataSchema.draft(drafted_from)
    assert validate(drafted_from, schema) == []


def test_a_draft_says_where_it_is_from_and_leaves_room(drafted):
    _, path = drafted
    text = path.read_text()
    assert text.startswith("# What these data have to be. Drafted from statistics of made (fff")
    values = yaml.safe_load(text)
    assert values["labels"] == {"angry": [0.25, 0.75], "sad": [0.25, 0.75]}
    assert values["min_utterances_per_speaker"] == 5
    assert values["speakers"] == ["s0", "s1", "s2", "s3"]
    assert values["duration_s"] == [0.75, 2.47]
    assert values["max_silence_ratio"] is None
    assert values["drift"]["duration_psi"] == 0.25


def test_names_that_look_like_numbers_stay_names(tmp_path):
    drafted_from = statistics([row(0, speaker="03"), row(1, speaker="1e3")])
    DataSchema.draft(drafted_from).write_new(tmp_path / "schema.yaml", drafted_from)
    assert DataSchema.load(tmp_path).speakers == ["03", "1e3"]
    assert "speakers: ['03', '1e3']" in (tmp_path / "schema.yaml").read_text()


def test_a_schema_is_never_written_over(drafted):
    drafted_from, path = drafted
    path.write_text("kept by hand")
    with pytest.raises(ConfigError, match="a schema is kept by hand"):
        DataSchema.draft(drafted_from).write_new(path, drafted_from)
    assert path.read_text() == "kept by hand"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("dimm", 3, "unknown key 'dimm'; did you mean 'dim'"),
        ("dim", "40", "found dim: '40', expected a whole number"),
        ("dim", None, "found dim: None, expected a whole number"),
        ("max_copies", True, "expected a whole number"),
        ("labels", {}, "expected labels, each with"),
        ("labels", {"sad": [0.5, 0.1]}, "expected labels, each with"),
        ("speakers", ["s0", 3], "in quotes where they are numbers"),
        ("duration_s", [1], "the shortest and the longest"),
        ("duration_s", [-1, 2], "the shortest and the longest"),
        ("max_silence_ratio", "high", "a number from 0 on, or null"),
        ("drift", {"duration_psi": 1}, "a number for each of label_share_change"),
    ],
)
def test_a_wrong_value_is_named(drafted, name, value, sentence):
    _, path = drafted
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {name: value}))
    with pytest.raises(SchemaError, match=sentence):
        DataSchema.load(path)


def test_a_missing_key_is_named(drafted):
    _, path = drafted
    values = yaml.safe_load(path.read_text())
    del values["max_copies"]
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(SchemaError, match="found no max_copies, expected a whole number"):
        DataSchema.load(path)


@pytest.mark.parametrize("text", [None, "- a", "a: [", ""])
def test_what_is_no_schema_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "schema.yaml").write_text(text)
    with pytest.raises(SchemaError, match=r"schema\.yaml"):
        DataSchema.load(tmp_path)
