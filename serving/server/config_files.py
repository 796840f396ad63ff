"""Reads TensorFlow Serving's configuration files, so that one set of files serves both servers."""

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from ser_keras.errors import ConfigError
from serving.server.batching import Batching
from serving.server.manager import ModelConfig
from serving.server.metrics import METRICS_PATH


def read_models(path: Path) -> list[ModelConfig]:
    """Returns the models of a `models.config`, a ModelServerConfig in text format.

    Raises:
        ConfigError: not readable, another model platform, or a storage that is not a folder here.
    """
    from tensorflow_serving.config import model_server_config_pb2

    try:
        text = path.read_text(encoding="utf-8")
        config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    except (OSError, text_format.ParseError) as error:
        raise ConfigError(
            f"{path}: not readable as a models.config: {error}. Expected "
            'model_config_list { config { name: "..." base_path: "..." '
            'model_platform: "tensorflow" } }.'
        ) from error
    return models_of(config)


def models_of(config: Any) -> list[ModelConfig]:
    """Returns the models of a ModelServerConfig.

    Raises:
        ConfigError: a model of another platform than TensorFlow.
    """
    return [_model(entry) for entry in config.model_config_list.config]


def _model(entry: Any) -> ModelConfig:
    if entry.model_platform not in ("", "tensorflow"):
        raise ConfigError(
            f"model {entry.name}: found model_platform {entry.model_platform!r}, expected "
            "'tensorflow'."
        )
    policy = entry.model_version_policy
    latest = 1
    if policy.HasField("all"):
        latest = 0
    elif policy.HasField("latest"):
        latest = policy.latest.num_versions or 1
    return ModelConfig(
        entry.name,
        Path(entry.base_path),
        latest,
        tuple(policy.specific.versions),
        dict(entry.version_labels),
    )


def one_model(name: str, base_path: Path) -> list[ModelConfig]:
    """Returns the configuration of the flags `--model_name` and `--model_base_path`."""
    return [ModelConfig(name, base_path)]


def read_ssl(path: Path) -> dict[str, Any]:
    """Returns server_key, server_cert, custom_ca and client_verify of an `ssl.config`.

    Raises:
        ConfigError: not readable.
    """
    config = _parsed(path, "an ssl.config", _SSL, "server_key and server_cert with the PEM texts")
    return {name: getattr(config, name) for name in _SSL}


def read_monitoring(path: Path) -> str | None:
    """Returns where a `monitoring.config` wants the metrics, None for nowhere.

    Raises:
        ConfigError: not readable.
    """
    expected = 'prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }'
    config = _parsed(path, "a monitoring.config", _MONITORING, expected).prometheus_config
    return (config.path or METRICS_PATH) if config.enable else None


def read_batching(path: Path) -> Batching:
    """Returns what a `batching.config` says, of that which this server follows.

    Raises:
        ConfigError: not readable.
    """
    expected = "max_batch_size { value: 16 }"
    config = _parsed(path, "a batching.config", _BATCHING, expected)
    usual = Batching()
    return Batching(
        config.max_batch_size.value or usual.most_rows,
        config.batch_timeout_micros.value / 1e6,
        config.num_batch_threads.value,
    )


# === Messages that the published package does not hold ===

_Fields = dict[str, Any]
_NUMBER, _TEXT = {"value": "int64"}, {"value": "string"}
_SSL: _Fields = {
    "server_key": "string",
    "server_cert": "string",
    "custom_ca": "string",
    "client_verify": "bool",
}
_MONITORING: _Fields = {"prometheus_config": {"enable": "bool", "path": "string"}}
_BATCHING: _Fields = {
    "max_batch_size": _NUMBER,
    "batch_timeout_micros": _NUMBER,
    "max_enqueued_batches": _NUMBER,
    "num_batch_threads": _NUMBER,
    "thread_pool_name": _TEXT,
    "allowed_batch_sizes": "*int64",
    "pad_variable_length_inputs": "bool",
}


def _parsed(path: Path, what: str, fields: _Fields, expected: str) -> Any:
    """Returns the message with those fields that a file in text format holds."""
    file = descriptor_pb2.FileDescriptorProto(name="ser/config.proto", syntax="proto3")
    _add(file.message_type.add(name="Config"), ".Config", fields)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("Config"))
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), kind())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ConfigError(
            f"{path}: not readable as {what}: {error}. Expected {expected}."
        ) from error


def _add(message: descriptor_pb2.DescriptorProto, path: str, fields: _Fields) -> None:
    for number, (name, kind) in enumerate(fields.items(), 1):
        repeated = isinstance(kind, str) and kind.startswith("*")
        field = message.field.add(name=name, number=number, label=3 if repeated else 1)
        if isinstance(kind, dict):
            field.type, field.type_name = field.TYPE_MESSAGE, f"{path}.{name}"
            _add(message.nested_type.add(name=name), field.type_name, kind)
        else:
            field.type = getattr(field, f"TYPE_{kind.removeprefix('*').upper()}")
