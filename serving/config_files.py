"""Reads TensorFlow Serving's configuration files, so that one set of files serves both servers."""

from pathlib import Path
from typing import Any

from google.protobuf import text_format

from ser_keras.errors import ConfigError
from serving.manager import ModelConfig


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
    values: dict[str, Any] = {"custom_ca": "", "client_verify": False}
    # The message, SSLConfig, is not in the published package; its text format is "name: value".
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="ser/ssl.proto", syntax="proto3")
    message = file.message_type.add(name="SSLConfig")
    for number, name in enumerate(("server_key", "server_cert", "custom_ca"), 1):
        message.field.add(name=name, number=number, type=9, label=1)
    message.field.add(name="client_verify", number=4, type=8, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("SSLConfig"))
    try:
        found = text_format.Parse(path.read_text(encoding="utf-8"), kind())
    except (OSError, text_format.ParseError) as error:
        raise ConfigError(
            f"{path}: not readable as an ssl.config: {error}. Expected server_key and server_cert "
            "with the PEM texts."
        ) from error
    return values | {name.name: value for name, value in found.ListFields()}
