"""`ser import` as a user types it."""

import csv
import sys

import numpy as np
import pytest

from ser_keras.audio import write_wav
from ser_keras.labels import EMOTIONS

RENAMED = "anger=angry,fear=fearful,happiness=happy,sadness=sad"


def melody(seed):
    """1 s of tones of several heights and levels, so that no two are alike."""
    rng = np.random.default_rng(seed)
    time = np.arange(1600) / 16000
    tones = (
        rng.uniform(0.05, 0.5) * np.sin(2 * np.pi * rng.uniform(120, 1200) * time)
        for _ in range(10)
    )
    return np.concatenate(list(tones)).astype(np.float32)


def nemo_like(root, speakers=("AB0", "CD0", "EF0"), labels=("anger", "fear", "neutral")):
    """A table such as nEMO's: tabs, padded speakers, file names with another ending."""
    lines = ["file_id\temotion\traw_text\tspeaker_id\tgender\tage"]
    for number, (speaker, label) in enumerate((s, e) for s in speakers for e in labels):
        name = f"{speaker}_{label}_{number}"
        (root / "samples").mkdir(parents=True, exist_ok=True)
        write_wav(root / "samples" / f"{name}.flac.wav", melody(number))
        (root / "samples" / f"{name}.flac.wav").rename(root / "samples" / f"{name}.wav")
        lines.append(f'{name}.flac\t{label}\t"Oh", he said.\t        {speaker}\tfemale\t2{number}')
    (root / "data.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root / "data.tsv"


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def next_command(out):
    return out.split("next: ser ")[1].split()


def test_a_table_is_brought_in_by_one_command_and_audited(ser, tmp_path):
    table, output = nemo_like(tmp_path), tmp_path / "table.csv"
    code, out, _ = ser(
        *("import", table, "--columns", "path=file_id,label=emotion,speaker=speaker_id"),
        *("--audio-dir", tmp_path / "samples", "--map", "anger=angry,fear=fearful"),
        *("--output", output),
    )
    assert code == 0
    assert "table.csv: 9 recordings, 3 classes (angry 3, fearful 3, neutral 3), 3 speakers" in out
    assert "guessed: --columns sentence=raw_text,gender=gender not used: age" in out
    first = rows_of(output)[0]
    assert first == {
        "path": "samples/AB0_anger_0.wav",
        "label": "angry",
        "speaker": "AB0",
        "sentence": '"Oh", he said.',
        "gender": "female",
    }
    command = next_command(out)
    assert (
        command == f"audit --corpus manifest --data-dir {output} --protocol manifest-loso".split()
    )
    code, out, _ = ser(*command)
    assert (code, "fail" in out) == (0, False)


def test_everything_that_has_a_usual_name_is_found_without_an_option(ser, tmp_path):
    output = tmp_path / "elsewhere" / "table.csv"
    code, out, _ = ser("import", nemo_like(tmp_path / "data"), "--output", output)
    assert code == 0
    assert "guessed: --columns path=file_id,label=emotion,speaker=speaker_id,sentence=raw" in out
    assert "label anger is another word for angry" in out
    assert "to rename them: add --map anger=angry,fear=fearful" in out
    assert {row["label"] for row in rows_of(output)} == {"anger", "fear", "neutral"}
    command = next_command(out)
    assert command[-1] == "--allow-outside"
    assert ser(*command)[0] == 0


def test_rows_without_a_usable_recording_are_listed_and_cost_only_themselves(ser, tmp_path):
    table, output = nemo_like(tmp_path), tmp_path / "table.csv"
    (tmp_path / "samples" / "AB0_anger_0.wav").unlink()
    (tmp_path / "samples" / "AB0_fear_1.wav").write_text("[red]no sound[/]")
    code, out, _ = ser("import", table, "--output", output)
    assert code == 0
    assert "left out: 2 rows, listed in" in out
    assert "data.tsv:2: AB0_anger_0.flac: no such file" in out
    assert "data.tsv:3: AB0_fear_1.flac:" in out
    assert len(rows_of(output)) == 7
    listed = rows_of(tmp_path / "table.left-out.csv")
    assert [row["path"] for row in listed] == ["AB0_anger_0.flac", "AB0_fear_1.flac"]
    code, out, _ = ser("import", table, "--output", output, "--no-check", "--map", "neutral=")
    assert "table.csv: 5 recordings" in out
    assert len(rows_of(tmp_path / "table.left-out.csv")) == 4
    nemo_like(tmp_path)
    code, out, _ = ser("import", table, "--output", output)
    assert "left out" not in out
    assert not (tmp_path / "table.left-out.csv").exists()


def test_names_that_look_alike_are_said_at_once(ser, tmp_path):
    table = nemo_like(tmp_path, speakers=("AB0", "ab0", "CD0"))
    _, out, _ = ser("import", table, "--output", tmp_path / "table.csv")
    assert "a speaker may be there under more than one name: AB0 and ab0" in out


def test_a_training_on_names_that_look_alike_begins_with_a_warning(ser, tmp_path, capsys):
    from pipeline.features.job import build_feature_set
    from ser_keras.cli.options import open_features
    from ser_keras.features.specs import get_spec

    table = nemo_like(tmp_path, speakers=("AB0", "ab0", "CD0", "EF0"), labels=("anger", "angry"))
    ser("import", table, "--output", tmp_path / "table.csv")
    spec = get_spec("mfcc40-delta")
    build_feature_set("manifest", tmp_path / "table.csv", spec, tmp_path / "features")
    capsys.readouterr()
    open_features(tmp_path / "features", "manifest-loso", None, 0)
    warned = capsys.readouterr().out
    assert "a speaker may be there under more than one name: AB0 and ab0" in warned
    assert "labels may mean the same class: anger and angry" in warned


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--columns", "label=mood"], 2, "unknown column 'mood'"),
        (["--columns", "mood"], 2, "found 'mood', expected NAME=VALUE"),
        (["--map", "angr=angry"], 2, "unknown label 'angr'; did you mean 'anger'"),
        (["--from-path", "speaker=("], 2, "is no regular expression"),
        (["--from-path", "speaker=_"], 2, "found 0 groups, expected one around the speaker"),
        (["--from-path", "who=(.)"], 2, "unknown column of a manifest 'who'"),
        (["--columns", "speaker="], 2, "cannot tell which column names the speakers among file_id"),
        (["--audio-dir", "none"], 2, "--audio-dir none: found no folder there."),
        (["--columns", "path=age"], 3, "no such file in 9 of its rows (such as '20' in"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_nothing_is_written(
    ser, tmp_path, options, code, sentence
):
    table = nemo_like(tmp_path)
    result, _, err = ser("import", table, "--output", tmp_path / "table.csv", *options)
    assert (result, sentence in err) == (code, True), err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.tsv", "samples"]


def test_the_table_itself_is_not_overwritten(ser, tmp_path):
    table = nemo_like(tmp_path)
    before = table.read_bytes()
    code, _, err = ser("import", table, "--output", table)
    assert (code, "is the table itself" in err) == (2, True)
    assert table.read_bytes() == before


def test_in_a_terminal_it_asks_for_the_column_and_the_words(ser, tmp_path, monkeypatch):
    table = nemo_like(tmp_path)
    table.write_text(table.read_text().replace("speaker_id", "who"))
    answers = iter(["nobody", "who", "y"])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda text="": next(answers))
    code, out, err = ser("import", table, "--output", tmp_path / "table.csv")
    assert (code, list(answers)) == (0, []), err
    assert "cannot tell which column names the speakers" in out
    assert {row["label"] for row in rows_of(tmp_path / "table.csv")} < set(EMOTIONS)
    assert {row["speaker"] for row in rows_of(tmp_path / "table.csv")} == {"AB0", "CD0", "EF0"}


@pytest.mark.realdata
@pytest.mark.slow
def test_the_real_table_of_nemo_is_brought_in_by_one_command(ser, real_data, tmp_path):
    output = tmp_path / "table.csv"
    code, out, _ = ser(
        *("import", real_data / "nemo" / "data.tsv"),
        *("--columns", "path=file_id,label=emotion,speaker=speaker_id"),
        *("--audio-dir", real_data / "nemo" / "samples", "--map", RENAMED, "--output", output),
    )
    assert code == 0
    assert "1995 recordings, 6 classes (neutral 360, sad 343, angry 335, happy 334, fea" in out
    assert "9 speakers" in out
    assert "left out" not in out
    rows = rows_of(output)
    samples = list((real_data / "nemo" / "samples").iterdir())
    assert {row["path"] for row in rows} == {str(path) for path in samples}
    assert {row["speaker"] for row in rows} == {path.name.split("_")[0] for path in samples}
    code, out, _ = ser(*next_command(out))
    assert (code, "fail" in out, "warn" in out) == (0, False, False)
