"""A corpus with everything that can be wrong with a file, given to `ser features`.

`OUTCOMES` is the promise: what becomes of each kind of file. `ok` is a record, any other word the
kind of a dead letter. What a table of one's own must not name at all is at the end.
"""

import json
import os

import pytest

from ser_keras.data.feature_set import FeatureSet
from tests import trees
from tests.bad_audio import make_zoo, voice, wav
from tests.pipeline.conftest import write_table

# What it is, one such file of the zoo, what becomes of it.
OUTCOMES = [
    ("empty file", "empty.wav", "empty"),
    ("text named WAV", "text.wav", "not_audio"),
    ("web page named WAV", "page.wav", "not_audio"),
    ("head cut off", "head-cut.wav", "not_audio"),
    ("nothing but a head", "head-only.wav", "truncated"),
    ("WAV cut in the middle", "body-cut.wav", "truncated"),
    ("FLAC cut in the middle", "cut.flac", "truncated"),
    ("data chunk that promises more", "promises-more.wav", "truncated"),
    ("FLAC that promises more", "promises-more.flac", "truncated"),
    ("FLAC with a damaged body", "body-garbage.flac", "truncated"),
    ("FLAC with a damaged header", "header-garbage.flac", "unreadable"),
    ("FLAC of unknown length", "no-length.flac", "ok"),
    ("RIFF size of 0", "riff-size0.wav", "ok"),
    ("RIFF size beyond the end", "riff-size-huge.wav", "ok"),
    ("further chunks", "fllr-after-fmt.wav", "ok"),
    ("chunk of odd length", "odd-chunk.wav", "ok"),
    ("24 bits", "bits24.wav", "ok"),
    ("32 bits", "bits32.wav", "ok"),
    ("floating point", "float32.wav", "ok"),
    ("A-law", "a-law.wav", "ok"),
    ("unknown coding", "unknown-code.wav", "unreadable"),
    ("no channel", "no-channel.wav", "channels"),
    ("65535 channels", "channels65535.wav", "channels"),
    ("eight channels", "eight-channels.wav", "ok"),
    ("rate of 0 Hz", "rate0.wav", "rate"),
    ("rate of 1 MHz", "rate1e6.wav", "rate"),
    ("NaN", "nan.wav", "not_finite"),
    ("infinity", "infinite.wav", "not_finite"),
    ("clipped", "clipped.wav", "ok"),
    ("silence", "zero.wav", "silent"),
    ("one sample", "one-sample.wav", "too_short"),
    ("no sample", "no-samples.wav", "too_short"),
    ("six hours", "six-hours.wav", "too_long"),
    ("six hours promised", "promises-six-hours.flac", "too_long"),
    ("FLAC named WAV", "flac-named.wav", "ok"),
    ("Ogg named WAV", "ogg-named.wav", "ok"),
    ("MP3 named WAV", "mp3-named.wav", "ok"),
    ("garbage that begins like MP3", "mp3-garbage.wav", "not_audio"),
    ("AIFF named WAV", "aiff-named.wav", "ok"),
    ("dangling link", "dangling.wav", "missing"),
    ("link to a recording", "link.wav", "ok"),
    ("folder named WAV", "folder.wav", "unreadable"),
    ("named pipe", "pipe.wav", "unreadable"),
    ("name in other scripts", "größe-愤怒-😠.wav", "ok"),
    ("the same recording twice", "copy-of-plain.wav", "ok"),
]
LABELS = ("angry", "happy", "neutral", "sad")


@pytest.fixture
def tree(tmp_path):
    """A corpus whose names are in order and whose files are links to the zoo.

    Returns:
        (folder, what must become of each recording by its key).
    """
    expected = {}
    for number, (path, outcome) in enumerate(make_zoo(tmp_path / "zoo")):
        name = f"s{number % 3 + 1:02}_{LABELS[number % 4]}_{number:02}"
        link = tmp_path / "corpus" / name[:3] / f"{name}.wav"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
        expected[f"synthetic/{name}"] = outcome
    return tmp_path / "corpus", expected


def line(corpus, data_dir, output, *more):
    return (
        *("features", "--corpus", corpus, "--data-dir", data_dir, "--spec", "logmel23"),
        *("--output", output, "--allow-partial", *more),
    )


def test_the_zoo_holds_what_is_promised(tmp_path):
    zoo = {path.name: outcome for path, outcome in make_zoo(tmp_path)}
    assert {name: zoo[name] for _, name, _ in OUTCOMES} == {
        name: outcome for _, name, outcome in OUTCOMES
    }
    assert sum(outcome != "ok" for _, _, outcome in OUTCOMES) >= 25


def test_every_good_file_is_used_and_every_bad_one_named(ser, tree, tmp_path):
    corpus, expected = tree
    bad = {key: outcome for key, outcome in expected.items() if outcome != "ok"}
    output = tmp_path / "features"
    code, out, err = ser(*line("synthetic", corpus, output, "--max-bad-ratio", "0.9"))
    assert code == 0, err
    feature_set = FeatureSet.open(output)
    feature_set.verify()
    assert {row.key for row in feature_set.rows} == set(expected) - set(bad)
    assert {letter["key"]: letter["kind"] for letter in feature_set.dead_letters} == bad
    assert f"{len(expected) - len(bad)} recordings" in out
    assert "left out:" in out


def test_the_exit_code_follows_the_ratio(ser, tree, tmp_path):
    corpus, expected = tree
    bad = {key: outcome for key, outcome in expected.items() if outcome != "ok"}
    ratio = len(bad) / len(expected)
    output = tmp_path / "features"
    code, _, err = ser(*line("synthetic", corpus, output, "--max-bad-ratio", ratio - 1e-6))
    assert (code, f"found {len(bad)} of {len(expected)} recordings" in err) == (3, True)
    (listed,) = output.iterdir()
    letters = [json.loads(row) for row in listed.read_text().splitlines()]
    assert {letter["key"]: letter["kind"] for letter in letters} == bad
    assert ser(*line("synthetic", corpus, output, "--max-bad-ratio", ratio + 1e-6))[0] == 0


def make_nothing(path):
    del path


def make_dangling_link(path):
    path.symlink_to("gone.wav")


def make_link_out(path):
    outside = path.parents[1] / "outside.wav"
    outside.write_bytes(wav())
    path.symlink_to(outside)


@pytest.mark.parametrize(
    ("name", "make", "sentence"),
    [
        ("none.wav", make_nothing, "found no file 'none.wav'"),
        ("link.wav", make_dangling_link, "found no file 'link.wav'"),
        ("folder.wav", os.mkdir, "found no file 'folder.wav'"),
        ("pipe.wav", os.mkfifo, "found no file 'pipe.wav'"),
        ("out.wav", make_link_out, "which leads out of"),
        ("../outside.wav", make_nothing, "which leads out of"),
        ("good.wav", make_nothing, "which is there already"),
    ],
)
def test_a_table_that_names_what_cannot_be_is_refused_before_any_work(
    ser, tmp_path, name, make, sentence
):
    root = tmp_path / "corpus"
    trees.manifest(root, "")
    (root / "good.wav").write_bytes(wav(voice()))
    make(root / name)
    write_table(root, [("good.wav", "sad", "anna"), (name, "sad", "anna")])
    code, _, err = ser(*line("manifest", root, tmp_path / "features"))
    assert (code, sentence in err) == (3, True), err
    assert "manifest.csv:3" in err
    assert not (tmp_path / "features").exists()
