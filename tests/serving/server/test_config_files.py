"""The configuration files of TensorFlow Serving, those that are shipped among them."""

from pathlib import Path

import pytest

from ser_keras.errors import ConfigError
from serving.server.batching import BatchingParameters
from serving.server.config_files import read_batching, read_models, read_monitoring, read_ssl
from tests.architecture import ROOT

DEPLOY = ROOT / "serving" / "deploy"


def test_the_shipped_files_are_read():
    (model,) = read_models(DEPLOY / "models.config")
    assert (model.name, model.base_path, model.latest) == ("moma", Path("/models/moma"), 1)
    ssl = read_ssl(DEPLOY / "ssl.config.example")
    assert ssl["server_key"].startswith("-----BEGIN PRIVATE KEY-----\n")
    assert ssl["client_verify"] is False


def test_policies_and_labels(tmp_path):
    path = tmp_path / "models.config"
    entry = 'name: "{}" base_path: "/m" model_platform: "tensorflow" model_version_policy {{ {} }}'
    entries = [
        entry.format("a", "all {}"),
        entry.format("b", "specific { versions: 3 versions: 5 }"),
        entry.format("c", "latest { num_versions: 2 }")
        + ' version_labels { key: "stable" value: 4 }',
    ]
    path.write_text("model_config_list { " + " ".join(f"config {{ {e} }}" for e in entries) + " }")
    a, b, c = read_models(path)
    assert (a.latest, a.specific) == (0, ())
    assert b.specific == (3, 5)
    assert (c.latest, dict(c.labels)) == (2, {"stable": 4})


def test_the_old_name_of_the_platform_is_read_as_well(tmp_path):
    path = tmp_path / "models.config"
    path.write_text(
        'model_config_list { config { name: "m" base_path: "/m" model_type: TENSORFLOW } }'
    )
    assert [model.name for model in read_models(path)] == ["m"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("nonsense", "not readable as a models.config"),
        (
            'model_config_list { config { name: "m" base_path: "/m" model_platform: "torch" } }',
            "model m: Model m requests unsupported platform torch",
        ),
        (
            'model_config_list { config { name: "m" base_path: "/m" } }',
            "model m: Illegal setting neither .* nor ModelServerConfig::model_platform",
        ),
        (
            'model_config_list { config { name: "m" base_path: "/m" model_platform: "tensorflow" '
            "model_type: TENSORFLOW } }",
            "model m: Illegal setting both ",
        ),
        (
            'model_config_list { config { name: "m" model_platform: "tensorflow" base_path: "m" '
            "} }",
            r"Expected model m to have an absolute path or URI; got base_path\(\)=m\.",
        ),
        (
            "model_config_list {"
            + 2 * 'config { name: "m" base_path: "/m" model_platform: "tensorflow" }'
            + "}",
            "Illegal to list model m multiple times",
        ),
    ],
)
def test_other_files_are_refused(tmp_path, text, error):
    (tmp_path / "models.config").write_text(text)
    with pytest.raises(ConfigError, match=error):
        read_models(tmp_path / "models.config")
    (tmp_path / "ssl.config").write_text("nonsense")
    with pytest.raises(ConfigError, match=r"not readable as an ssl\.config"):
        read_ssl(tmp_path / "ssl.config")
    with pytest.raises(ConfigError, match="No such file"):
        read_models(tmp_path / "nowhere")


def test_the_shipped_monitoring_and_batching_are_read(tmp_path):
    assert read_monitoring(DEPLOY / "monitoring.config") == "/monitoring/prometheus/metrics"
    assert read_batching(DEPLOY / "batching.config") == BatchingParameters(16, 0.004, 2)
    off = tmp_path / "off.config"
    off.write_text("prometheus_config { enable: false }")
    assert read_monitoring(off) is None
    off.write_text("max_batch_sise { value: 16 }")
    with pytest.raises(ConfigError, match=r"off.config: not readable as a batching.config: .*sise"):
        read_batching(off)
