import json

import pytest
import typer
from typer.testing import CliRunner

from pipeline.cli.statistics import statistics
from ser_keras.errors import ConfigError, CorpusError


def ser(*arguments):
    """Runs the verb; returns what it printed, or raises what it raised."""
    app = typer.Typer()
    app.command(context_settings={"allow_extra_args": True})(statistics)
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0
    return done.stdout


@pytest.fixture
def drafted(build, corpus, tmp_path):
    """(features, folder of their statistics, schema drafted from them, what was printed)."""
    features, output, schema = build(), tmp_path / "statistics", tmp_path / "schema.yaml"
    printed = ser(features, "--output", output, "--data-dir", corpus, "--draft", schema)
    return features, output, schema, printed


def test_statistics_picture_and_a_first_schema_are_written(drafted):
    _, output, schema, printed = drafted
    assert "manifest: 24 utterances of 3 speakers" in printed
    assert "silence_ratio: mean 0.0000" in printed
    assert sorted(path.name for path in output.iterdir()) == ["statistics.json", "statistics.svg"]
    assert "label" in (output / "statistics.svg").read_text()
    assert "speakers: [anna, bert, cleo]" in schema.read_text()


def test_what_fits_the_schema_and_the_past_is_accepted(drafted, corpus, tmp_path):
    features, output, schema, _ = drafted
    line = [features, "--output", tmp_path / "again", "--data-dir", corpus, "--schema", schema]
    printed = ser(*line, "--against", output, "--protocol", "manifest-loso")
    assert "drift: share of angry by 0.000" in printed
    report = json.loads((tmp_path / "again" / "anomalies.json").read_text())
    assert report["anomalies"] == []
    assert report["drift"]["mean_shift"] == 0


def test_the_audited_folds_have_the_class_set_that_is_named(drafted, tmp_path):
    line = [drafted[0], "--output", tmp_path / "again", "--protocol", "manifest-loso"]
    with pytest.raises(ConfigError, match=r"no utterances of happy, neutral, .* of emodb4"):
        ser(*line, "--classes", "emodb4")


def test_an_anomaly_ends_the_command_and_is_written_down(drafted, corpus, tmp_path):
    features, _, schema, _ = drafted
    schema.write_text(schema.read_text().replace("angry:", "happy:"))
    output = tmp_path / "again"
    with pytest.raises(CorpusError, match=r"found 3 anomalies, .* and in .*anomalies\.json"):
        ser(features, "--output", output, "--data-dir", corpus, "--schema", schema)
    report = json.loads((output / "anomalies.json").read_text())
    features = [anomaly["feature"] for anomaly in report["anomalies"]]
    assert features == ["label angry", "label happy", "label happy"]
    assert CorpusError.exit_code == 3


def test_drift_alone_has_limits_too(drafted, tmp_path):
    features, output, _, _ = drafted
    earlier = json.loads((output / "statistics.json").read_text())
    earlier["counts"]["label"] = {"angry": 20, "sad": 4}
    (tmp_path / "earlier.json").write_text(json.dumps(earlier))
    line = [features, "--output", tmp_path / "again", "--against", tmp_path / "earlier.json"]
    with pytest.raises(CorpusError, match="found 1 anomalies"):
        ser(*line)
    report = json.loads((tmp_path / "again" / "anomalies.json").read_text())
    assert report["anomalies"][0]["feature"] == "drift: share of label angry"


def test_a_draft_writes_over_nothing_and_reads_nothing_in_vain(drafted, tmp_path):
    features, _, schema, _ = drafted
    before = schema.read_text()
    with pytest.raises(ConfigError, match="a schema is kept by hand"):
        ser(features, "--output", tmp_path / "again", "--draft", schema)
    assert schema.read_text() == before
    assert not (tmp_path / "again").exists()


def test_options_after_two_dashes_reach_beam(drafted, tmp_path, caplog):
    ser(drafted[0], "--output", tmp_path / "again", "--", "--direct_num_workers=3")
    # Beam's own remark on that option.
    assert "direct_num_workers: 3" in caplog.text


def test_a_stray_word_is_refused(drafted, tmp_path):
    with pytest.raises(ConfigError, match="found 'emodb', expected an option"):
        ser(drafted[0], "--output", tmp_path / "again", "emodb")
