"""The command line as a user meets it: sentences and exit codes."""

import contextlib
import io
import subprocess
import sys
import time
from importlib.metadata import entry_points

import pytest
from rich.console import Console
from typer.main import get_command

from ser_keras.cli import progress
from ser_keras.cli.app import OTHER_TASK, make_app, task_of
from ser_keras.cli.app import VERBS as VERBS_GROUP
from ser_keras.cli.console import console
from ser_keras.cli.corpora import corpora
from ser_keras.cli.progress import EpochBars
from ser_keras.corpora import corpus_names
from ser_keras.training.history import RESUMED

VERBS = {
    "audit",
    "baseline",
    "calibrate",
    "corpora",
    "crosscorpus",
    "crossval",
    "demo",
    "download",
    "ensemble",
    "evaluate",
    "explain",
    "export",
    "features",
    "import",
    "label-curve",
    "lineage",
    "predict",
    "report",
    "reproduce",
    "run",
    "sampled",
    "serve",
    "statistics",
    "train",
    "tune",
    "web",
    "weights",
}


def test_every_verb_is_listed_with_a_sentence(ser):
    code, out, _ = ser("--help")
    assert code == 0
    assert all(verb in out for verb in VERBS)


def test_verbs_are_listed_by_task_in_the_order_in_which_a_newcomer_needs_them(ser):
    _, out, _ = ser("--help")
    tasks = ["Start here", "Get data", "Train and test", "Look at results", "Use a model"]
    positions = [out.index(f"─ {task} ─") for task in tasks]
    assert positions == sorted(positions)
    first, second = out[positions[0] : positions[1]], out[positions[1] : positions[2]]
    assert " demo " in first
    assert second.index(" download ") < second.index(" features ")


def test_every_verb_that_is_installed_has_a_task():
    verbs = entry_points(group=VERBS_GROUP).names
    assert [verb for verb in sorted(verbs) if task_of(verb) == OTHER_TASK] == []


def test_help_explains_the_words_that_it_uses_and_no_others(ser):
    _, out, _ = ser("--help")
    assert out.count("UA: unweighted accuracy, the share of recordings recognised") == 1
    assert out.count("WA: weighted accuracy") == 1
    assert out.count("fold: one division of the recordings") == 1
    _, out, _ = ser("calibrate", "--help")
    assert "temperature: a number" in out
    assert "UA: " not in out
    assert "fold: " not in ser("corpora", "--help")[1]


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_explains_itself(ser, verb):
    code, out, _ = ser(verb, "--help")
    assert code == 0
    assert f"ser {verb}" in out


def test_corpora_are_a_row_each_in_a_narrow_terminal(monkeypatch, capsys):
    monkeypatch.setattr(console, "width", 80)
    corpora()
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    first = [line.split()[0] for line in lines[2:] if line[:1].isalpha()]
    assert [name for name in first if name in corpus_names()] == corpus_names()
    assert len(corpus_names()) >= 26
    (row,) = [line for line in lines if line.startswith("ravdess ")]
    assert row.split(maxsplit=5) == ["ravdess", "English", "24", "8", "1440", "CC BY-NC-SA 4.0"]


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("ravdess", ("ravdess-actor5", "CC BY-NC-SA", "1440 utterances of 24 speakers")),
        ("tess", ("TESS has two speakers", "protocols tess-speaker-dependent-5", "OAF 1400")),
        ("aesdd", ("published counts are not known", "layout from https://")),
        ("emovdb", ("note All speakers read the same sentences", "4 speakers")),
        ("manifest", ("size from the data", "the user's")),
    ],
)
def test_a_corpus_is_shown_in_full(ser, name, facts):
    code, out, _ = ser("corpora", name)
    assert code == 0
    assert [fact for fact in facts if fact not in out] == []


def test_an_unknown_corpus_is_an_error_with_the_nearest_name(ser):
    code, _, error = ser("corpora", "ravdes")
    assert code == 2
    assert "did you mean 'ravdess'" in error


def test_bars_of_a_training_move_before_the_first_epoch_ends_and_leave_the_folds():
    with EpochBars() as shown:
        assert [(task.description, task.total) for task in shown.bars.tasks] == [("training", None)]
        shown("s01", 1, 2, {"loss": 0.5})
    assert [(task.description, task.completed) for task in shown.bars.tasks] == [("fold s01", 1)]


def test_the_bar_of_a_fold_is_full_where_it_ended_early_and_not_where_it_was_interrupted():
    with EpochBars() as ended:
        ended("s01", 3, 5, {"loss": 0.5})
    assert ended.bars.tasks[0].total == 3
    with contextlib.suppress(KeyboardInterrupt), EpochBars() as interrupted:
        interrupted("s01", 3, 5, {"loss": 0.5})
        raise KeyboardInterrupt
    assert interrupted.bars.tasks[0].total == 5


def test_a_download_is_a_folder_of_the_corpus_name(ser, tmp_path):
    done = tmp_path / "emodb" / ".completed"
    done.parent.mkdir()
    done.write_text('{"corpus": "emodb"}')
    code, out, _ = ser("download", "emodb", "--data-dir", tmp_path)
    assert (code, out) == (0, f"emodb is at {tmp_path / 'emodb'}")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["audit", "--corpus", "emobd", "--data-dir", "."], 2, "did you mean 'emodb'"),
        (["audit", "--corpus", "emodb", "--data-dir", "none"], 3, "found no folder at none"),
        (["download", "iemocap", "--data-dir", "."], 2, "iemocap"),
        (
            [
                "features",
                "--corpus",
                "emodb",
                "--data-dir",
                ".",
                "--spec",
                "logmel4",
                "--output",
                "o",
            ],
            2,
            "did you mean 'logmel40'",
        ),
        (["report", "--results", "none"], 2, "Run ser crossval"),
        (["report", "--readme", "none.md"], 2, "found no file there"),
        (
            ["crossval", "--features", "none", "--protocol", "emodb-loso", "--output", "o"],
            5,
            "none",
        ),
        (["evaluate", "none", "--features", "none"], 2, "found no trained fold"),
    ],
)
def test_bad_input_ends_with_its_sentence_and_code(
    ser, tmp_path, monkeypatch, arguments, code, sentence
):
    monkeypatch.chdir(tmp_path)
    exit_code, _, err = ser(*arguments)
    assert sentence in err
    assert exit_code == code


def test_an_unknown_protocol_suggests_the_nearest(ser, features, tmp_path):
    line = ["crossval", "--features", features, "--output", tmp_path, "--protocol"]
    code, _, err = ser(*line, "synthetic-losso")
    assert (code, "did you mean 'synthetic-loso'" in err) == (2, True)


def test_the_audit_of_a_speaker_dependent_split_names_the_shared_speakers(ser, tmp_path):
    from ser_keras.corpora.synthetic import write_corpus

    corpus = write_corpus(tmp_path / "corpus", num_speakers=3, utterances_per_class=2, seed=1)
    line = ["audit", "--corpus", "synthetic", "--data-dir", corpus, "--protocol"]
    code, out, _ = ser(*line, "synthetic-speaker-dependent-2")
    assert code == 0
    assert "speaker" in out
    assert "warn" in out
    assert ser(*line, "synthetic-loso")[0] == 0


def test_models_that_are_traced_anew_say_nothing_and_other_warnings_stay(ser, caplog):
    import tensorflow as tf
    from tensorflow.python.platform import tf_logging

    ser("--version")
    tf_logging.get_logger().propagate = True
    # A server in the same process silences it.
    caplog.set_level("WARNING", tf_logging.get_logger().name)
    for _ in range(12):
        # A new function each time, as each fold brings a new model; Python gives it the old id.
        tf.function(lambda x: x + 1)(tf.constant(1.0))
    tf_logging.warning("5 out of the last 11 calls to f triggered tf.function retracing.")
    tf_logging.warning("something else")
    assert [record.getMessage() for record in caplog.records] == ["something else"]


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "ser_keras", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("ser ")


def test_a_log_file_shows_the_progress_of_a_training(monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=log, width=100))
    with EpochBars() as bars:
        for epoch in range(1, 6):
            bars("speaker-03", epoch, 5, {"loss": 1.0 / epoch, "valid_ua": 0.5})
    lines = [line for line in log.getvalue().splitlines() if "epoch" in line]
    assert lines == [
        "fold speaker-03: epoch 1 of 5, loss 1.000  valid UA 50.0, 0 s left",
        "fold speaker-03: epoch 5 of 5, loss 0.200  valid UA 50.0",
    ]


class Clock:
    """A clock that stands still until it is moved."""

    now_s = 1000.0

    def monotonic(self):
        return self.now_s


@pytest.fixture
def log(monkeypatch):
    """What is printed where the output is a file."""
    stream = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=stream, width=100))
    return stream


def lines_of(log):
    return [line for line in log.getvalue().splitlines() if line.startswith("fold")]


def test_a_log_file_has_a_line_each_half_minute_with_the_time_left(monkeypatch, log):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    bars = EpochBars()
    for epoch in range(1, 7):
        clock.now_s += 20
        bars("s01", epoch, 30, {"loss": 1.0})
    assert lines_of(log) == [
        "fold s01: epoch 1 of 30, loss 1.000, 10 min left",
        "fold s01: epoch 3 of 30, loss 1.000, 9 min left",
        "fold s01: epoch 5 of 30, loss 1.000, 8 min left",
    ]
    # The next fold begins where this one ended.
    clock.now_s += 60
    bars("s02", 1, 3, {"loss": 1.0})
    assert lines_of(log)[-1] == "fold s02: epoch 1 of 3, loss 1.000, 2 min left"


def test_a_resumed_fold_says_where_it_goes_on_and_does_not_count_what_was_done(monkeypatch, log):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    bars = EpochBars()
    bars.note("3 of 10 folds are finished and kept.")
    clock.now_s += 5
    bars("s04", 4, 60, {"loss": 1.0, RESUMED: 1.0})
    clock.now_s += 60
    bars("s04", 5, 60, {"loss": 0.5})
    assert log.getvalue().splitlines() == [
        "3 of 10 folds are finished and kept.",
        "fold s04: going on at epoch 5 of 60",
        "fold s04: epoch 5 of 60, loss 0.500, 55 min left",
    ]
    assert bars.bars.tasks[1].completed == 5
    bars("s05", 60, 60, {"loss": 0.5, RESUMED: 1.0})
    assert lines_of(log)[-1] == "fold s05: all 60 epochs were trained before; testing"


def test_a_long_epoch_is_seen_to_run(monkeypatch, log):
    monkeypatch.setattr(EpochBars, "LOG_EVERY_S", 0.1)
    with EpochBars() as bars:
        time.sleep(0.3)
        bars("s01", 1, 3, {"loss": 1.0})
        time.sleep(0.3)
    ended = len(log.getvalue())
    assert "reading features and building the model: at it for 0 s" in log.getvalue()
    assert "fold s01: epoch 2 of 3: at it for 0 s" in log.getvalue()
    time.sleep(0.2)
    assert len(log.getvalue()) == ended


def test_paragraphs_of_help_are_broken_by_the_terminal_alone():
    root = get_command(make_app())
    verbs = [verb for verb in root.commands.values() if not hasattr(verb, "commands")]
    groups = [verb for verb in root.commands.values() if hasattr(verb, "commands")]
    verbs += [verb for group in groups for verb in group.commands.values()]
    assert len(verbs) > 30
    for verb in verbs:
        assert verb.help
        assert "\n" not in verb.help.replace("\n\n", ""), verb.name
