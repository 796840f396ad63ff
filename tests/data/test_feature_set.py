import hashlib
import json
import shutil

import pytest

from ser_keras.data.feature_set import FeatureSet, IndexRow, check_set
from ser_keras.data.schema import Schema
from ser_keras.errors import SchemaError
from tests.memory import growth

NAME = "0123456789abcdef"
SHARDS = {"part-00000-of-00002.tfrecord": b"first", "part-00001-of-00002.tfrecord": b"second"}


def row(number):
    return IndexRow(
        key=f"mine/{number}",
        label="sad",
        speaker="anna",
        session="",
        sentence="",
        gender="female",
        style="acted",
        split="",
        corpus="mine",
        duration_s=1.5,
        frames=148,
        shard="part-00000-of-00002.tfrecord",
        source_sha256="a" * 64,
        audio_sha256="b" * 64,
        fingerprint=bytes(range(8)),
    )


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def output(tmp_path):
    """A finished set of two records, written by hand."""
    folder = tmp_path / NAME
    folder.mkdir()
    schema = Schema({"kind": "logmel"}, "logmel40", 40, "mine", "mine", ("sad",), ())
    texts = {
        "index.jsonl": "".join(json.dumps(row(number).to_dict()) + "\n" for number in range(2)),
        "dead_letters.jsonl": '{"key": "mine/2", "kind": "empty"}\n',
        "schema.json": schema.to_json(),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    for name, data in SHARDS.items():
        (folder / name).write_bytes(data)
    manifest = {
        "fingerprint": NAME * 4,
        "num_records": 2,
        "num_dead": 1,
        "shards": [
            {"name": name, "records": 1, "bytes": len(data), "sha256": sha256(data)}
            for name, data in SHARDS.items()
        ],
        "files": {name: sha256(text.encode()) for name, text in texts.items()},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "LATEST").write_text(f"{NAME}\n")
    return tmp_path


def rewrite_index(output, text, records=2):
    """Changes the index together with its hash, as a faulty writer would."""
    (output / NAME / "index.jsonl").write_text(text)
    path = output / NAME / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"]["index.jsonl"] = sha256(text.encode())
    manifest["num_records"] = records
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", ["", NAME])
def test_opens_by_output_folder_and_by_its_own(output, name):
    feature_set = FeatureSet.open(output / name)
    assert feature_set.path == output / NAME
    assert feature_set.rows == (row(0), row(1))
    assert feature_set.schema.dim == 40
    assert [path.read_bytes() for path in feature_set.shard_paths] == list(SHARDS.values())
    assert feature_set.dead_letters == ({"key": "mine/2", "kind": "empty"},)
    feature_set.verify()


def test_index_row_survives_json():
    assert IndexRow.from_dict(json.loads(json.dumps(row(3).to_dict()))) == row(3)


def test_latest_wins_over_other_sets(output):
    (output / "fedcba").mkdir()
    assert FeatureSet.open(output).path.name == NAME


def test_nothing_there_says_so(tmp_path):
    with pytest.raises(SchemaError, match="found no feature set, expected the output folder"):
        FeatureSet.open(tmp_path)
    with pytest.raises(SchemaError, match="found no folder"):
        FeatureSet.open(tmp_path / "none")


def test_an_attempt_is_not_a_set(tmp_path):
    (tmp_path / ".attempt-host-1").mkdir()
    with pytest.raises(SchemaError, match="has not finished"):
        FeatureSet.open(tmp_path)


def test_latest_that_leads_nowhere_is_named(output):
    (output / "LATEST").write_text("gone\n")
    with pytest.raises(SchemaError, match="found the name 'gone'"):
        FeatureSet.open(output)


@pytest.mark.parametrize("name", ["index.jsonl", "schema.json", "dead_letters.jsonl"])
def test_a_changed_file_is_named(output, name):
    with (output / NAME / name).open("a") as stream:
        stream.write(" ")
    with pytest.raises(SchemaError, match=rf"{name}: found other content"):
        FeatureSet.open(output)


@pytest.mark.parametrize("name", ["index.jsonl", "schema.json", "dead_letters.jsonl"])
def test_a_missing_file_is_named(output, name):
    (output / NAME / name).unlink()
    with pytest.raises(SchemaError, match=rf"{name}: could not be read"):
        FeatureSet.open(output)


def test_a_missing_shard_is_named(output):
    (output / NAME / "part-00001-of-00002.tfrecord").unlink()
    with pytest.raises(SchemaError, match=r"part-00001-of-00002.tfrecord: found no such shard"):
        FeatureSet.open(output)


def test_a_cut_off_shard_is_named_when_opened(output):
    (output / NAME / "part-00001-of-00002.tfrecord").write_bytes(b"secon")
    with pytest.raises(SchemaError, match="found a shard of 5 bytes, expected 6"):
        FeatureSet.open(output)


def test_a_flipped_bit_is_found_by_verify(output):
    (output / NAME / "part-00001-of-00002.tfrecord").write_bytes(b"secone")
    feature_set = FeatureSet.open(output)
    with pytest.raises(SchemaError, match=r"part-00001-of-00002\.tfrecord: found content with"):
        feature_set.verify()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"num_records": 1}'])
def test_a_damaged_manifest_is_named(output, text):
    (output / NAME / "manifest.json").write_text(text)
    with pytest.raises(SchemaError, match=r"manifest.json: found no .*fingerprint"):
        FeatureSet.open(output)


def test_a_damaged_row_is_named_by_its_line(output):
    valid_row = json.dumps(row(0).to_dict())
    rewrite_index(output, valid_row + '\n{"key": "mine/1"}\n')
    with pytest.raises(SchemaError, match=r"index.jsonl, line 2: found no index row"):
        FeatureSet.open(output)


@pytest.mark.parametrize("shard", ["../../secret.tfrecord", "/etc/hosts", "other.tfrecord"])
def test_a_row_of_a_shard_that_the_manifest_does_not_list_is_refused(output, shard):
    rows = [row(0).to_dict(), row(1).to_dict() | {"shard": shard}]
    rewrite_index(output, "".join(f"{json.dumps(values)}\n" for values in rows))
    with pytest.raises(SchemaError, match=r"index.jsonl, line 2: found the shard '.*', expected"):
        FeatureSet.open(output)
    with pytest.raises(SchemaError, match="line 2: found the shard"):
        check_set(output)


def forge_shard(manifest):
    manifest["shards"][0]["name"] = "../secret.tfrecord"


def forge_file(manifest):
    manifest["files"]["../secret.json"] = sha256(b"")


@pytest.mark.parametrize("forge", [forge_shard, forge_file])
def test_a_manifest_that_names_files_elsewhere_is_refused(output, forge):
    for name in ("secret.tfrecord", "secret.json"):
        (output / name).write_bytes(b"")
    path = output / NAME / "manifest.json"
    manifest = json.loads(path.read_text())
    forge(manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(SchemaError, match=r"manifest.json: found the name '../secret"):
        FeatureSet.open(output)


@pytest.mark.parametrize("name", ["../elsewhere", "/", "", ".."])
def test_latest_that_leads_out_of_its_folder_is_refused(output, name):
    (output / "LATEST").write_text(f"{name}\n")
    with pytest.raises(SchemaError, match="LATEST: found the name"):
        FeatureSet.open(output)


def test_a_lost_row_is_counted(output):
    rewrite_index(output, json.dumps(row(0).to_dict()) + "\n")
    with pytest.raises(SchemaError, match="found 1 rows, expected 2"):
        FeatureSet.open(output)


def test_a_set_can_be_checked_without_being_opened(output):
    feature_set = FeatureSet.open(output)
    assert check_set(output) == (feature_set.schema, feature_set.manifest)
    rewrite_index(output, json.dumps(row(0).to_dict()) + "\n")
    with pytest.raises(SchemaError, match="found 1 rows, expected 2"):
        check_set(output)
    (output / NAME / "index.jsonl").write_text("")
    with pytest.raises(SchemaError, match=r"index.jsonl: found other content"):
        check_set(output)


def test_checking_holds_no_rows(output, tmp_path):
    sets = {}
    for count in (500, 1500):
        sets[count] = shutil.copytree(output, tmp_path / str(count))
        lines = [json.dumps(row(number).to_dict()) + "\n" for number in range(count)]
        rewrite_index(sets[count], "".join(lines), count)
    assert growth(lambda count: check_set(sets[count]), 500, 1500)[0] < 10
    assert growth(lambda count: FeatureSet.open(sets[count]), 500, 1500)[0] > 500


def test_require_accepts_what_fits_and_names_both_values_otherwise(output):
    feature_set = FeatureSet.open(output)
    assert feature_set.require(spec_name="logmel40", dim=40) is feature_set
    assert feature_set.require() is feature_set
    with pytest.raises(SchemaError, match="spec_name 'logmel40', expected 'mfcc40'"):
        feature_set.require(spec_name="mfcc40")
    with pytest.raises(SchemaError, match="dim 40, expected 200"):
        feature_set.require(dim=200)
