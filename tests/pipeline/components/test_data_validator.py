import json

import pytest

from pipeline.components.data_validator import COMPONENT
from pipeline.statistics.file import as_json
from pipeline.statistics.schema import DataSchema
from ser_keras.errors import ConfigError
from tests.pipeline.components.tasks import run
from tests.pipeline.statistics.example_statistics import example_rows, statistics


@pytest.fixture
def inputs(tmp_path):
    """Statistics and the schema that was drafted from them."""
    content = statistics(example_rows())
    folder = tmp_path / "statistics"
    folder.mkdir()
    (folder / "statistics.json").write_bytes(as_json(content))
    DataSchema.draft(content).write_new(tmp_path / "schema" / "schema.yaml", content)
    return {"statistics": folder, "schema": tmp_path / "schema"}


def anomalies(outputs):
    return json.loads((outputs["anomalies"] / "anomalies.json").read_text())["anomalies"]


def test_data_that_fit_pass_with_an_empty_list(inputs, tmp_path):
    result, outputs = run(COMPONENT, inputs, tmp_path)
    assert (result.refusal, result.facts["anomalies"], anomalies(outputs)) == ("", 0, [])


def test_anomalies_are_refused_and_kept_to_be_read(inputs, tmp_path):
    path = inputs["schema"] / "schema.yaml"
    path.write_text(path.read_text().replace("dim: 2", "dim: 3"))
    result, outputs = run(COMPONENT, {**inputs, "schema": path}, tmp_path)
    assert result.refusal.startswith("1 anomalies. dim: found 2, expected 3.")
    assert [anomaly["feature"] for anomaly in anomalies(outputs)] == ["dim"]


def test_drift_from_earlier_statistics_is_refused(inputs, tmp_path):
    earlier = tmp_path / "earlier.json"
    earlier.write_bytes(as_json(statistics(example_rows(), shift=2.0)))
    result, outputs = run(COMPONENT, {**inputs, "earlier": earlier}, tmp_path)
    assert "drift: mean of feature" in result.refusal
    assert result.facts["drift"]["mean_shift"] > 1
    assert len(anomalies(outputs)) == 1


def test_a_protocol_is_audited_on_the_features(inputs, build, tmp_path):
    with pytest.raises(ConfigError, match="found the protocol manifest-loso and no features"):
        run(COMPONENT, inputs, tmp_path / "1", protocol="manifest-loso")
    changed_inputs = {**inputs, "features": build()}
    result, _ = run(COMPONENT, changed_inputs, tmp_path / "2", protocol="manifest-loso")
    assert not result.refusal
    with pytest.raises(ConfigError, match="expected some of each class of emodb4"):
        run(COMPONENT, changed_inputs, tmp_path / "3", protocol="manifest-loso", classes="emodb4")
