import io
import subprocess
import sys

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from pipeline.cli import progress
from pipeline.cli.features import features
from pipeline.cli.progress import JobProgress
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, CorpusError


def ser(*arguments):
    """Runs the verb; returns what it printed, or raises what it raised."""
    app = typer.Typer()
    app.command(context_settings={"allow_extra_args": True})(features)
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def options(corpus, output, spec="logmel23"):
    return ("--corpus", "manifest", "--data-dir", corpus, "--spec", spec, "--output", output)


def test_the_verb_makes_a_set_and_prints_its_path(corpus, tmp_path):
    output = tmp_path / "features"
    done = ser(*options(corpus, output), "--name", "mine", "--trim-db", "30", "--shards", "2")
    feature_set = FeatureSet.open(output)
    assert done.exit_code == 0
    assert f"{feature_set.path}: 24 recordings" in done.stdout
    assert feature_set.schema.name == "mine"
    assert feature_set.schema.spec["trim_db"] == 30
    assert len(feature_set.shard_paths) == 2


def test_a_second_run_prints_that_nothing_was_recomputed(corpus, tmp_path):
    ser(*options(corpus, tmp_path / "features"))
    done = ser(*options(corpus, tmp_path / "features"))
    assert "already there, nothing recomputed" in done.stdout


def test_left_out_recordings_are_counted(corpus, tmp_path):
    (corpus / "anna/angry0.wav").write_bytes(b"")
    done = ser(*options(corpus, tmp_path / "features"), "--max-bad-ratio", "0.1")
    assert "left out: empty 1; see" in done.stdout


def test_options_after_two_dashes_reach_beam(corpus, tmp_path, caplog):
    done = ser(*options(corpus, tmp_path / "features"), "--", "--direct_num_workers=3")
    assert done.exit_code == 0
    # Beam's own remark on that option.
    assert "direct_num_workers: 3" in caplog.text


def test_a_step_of_unknown_length_forgets_the_length_of_the_step_before():
    bar = JobProgress()
    for step in (("statistics", 8, 8), ("comparing", 0, 0)):
        bar(*step)
    (task,) = bar.bars.tasks
    assert (task.description, task.completed, task.total) == ("comparing", 0, None)


class Clock:
    """A clock that stands still until it is moved."""

    now_s = 1000.0

    def monotonic(self):
        return self.now_s

    perf_counter = monotonic


def test_a_log_file_has_a_line_each_ten_seconds_with_the_time_left(monkeypatch):
    clock, log = Clock(), io.StringIO()
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setattr(progress, "console", Console(file=log, width=100))
    bar = JobProgress()
    for step, done, total in [
        ("listing", 500, 0),
        ("listing", 900, 0),
        ("listing", 1300, 0),
        *(("features", done, 1440) for done in range(40, 200, 40)),
    ]:
        clock.now_s += 4
        bar(step, done, total)
    clock.now_s += 6
    bar("features", 160, 1440)
    assert log.getvalue().splitlines() == [
        "listing: 1300",
        "features: 120 of 1440, 2 min left",
        "features: 160 of 1440, 3 min left",
    ]


def test_a_terminal_has_a_bar_and_no_lines(monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=terminal, force_terminal=True))
    monkeypatch.setattr(JobProgress, "LOG_EVERY_S", 0.0)
    JobProgress()("features", 3, 9)
    assert terminal.getvalue() == ""


def test_a_job_writes_lines_into_a_log_file(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(JobProgress, "LOG_EVERY_S", 0.0)
    done = ser(*options(corpus, tmp_path / "features"))
    assert "features: 24 of 24" in done.stdout.splitlines()


def test_a_stray_word_is_refused(corpus, tmp_path):
    with pytest.raises(ConfigError, match="found 'emodb', expected an option"):
        ser(*options(corpus, tmp_path / "features"), "emodb")


def test_an_unknown_spec_is_answered_with_the_nearest(corpus, tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'logmel40'"):
        ser(*options(corpus, tmp_path / "features", spec="logmel41"))


def test_a_corpus_that_is_not_there_is_an_error_of_the_data(tmp_path):
    with pytest.raises(CorpusError):
        ser(*options(tmp_path / "none", tmp_path / "features"))


def test_help_does_not_import_beam():
    code = "import sys, pipeline.cli.features; sys.exit('apache_beam' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
