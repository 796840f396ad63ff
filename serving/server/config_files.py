"""Reads TensorFlow Serving's configuration files, so that one set of files serves both servers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from google.protobuf import text_format

from ser_keras.errors import ConfigError
from serving.client.message_classes import message_classes
from serving.export.layout import version_folders
from serving.server.batching import BatchingParameters
from serving.server.metrics import METRICS_PATH

# Messages that the package `tensorflow-serving-api` lacks.
_CLASSES = message_classes(
    "ser/config.proto",
    {
        "Int64Value": {"value": (1, "int64")},
        "StringValue": {"value": (1, "string")},
        "SSLConfig": {
            "server_key": (1, "string"),
            "server_cert": (2, "string"),
            "custom_ca": (3, "string"),
            "client_verify": (4, "bool"),
        },
        "PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
        "MonitoringConfig": {"prometheus_config": (1, "PrometheusConfig")},
        "BatchingParameters": {
            "max_batch_size": (1, "Int64Value"),
            "batch_timeout_micros": (2, "Int64Value"),
            "max_enqueued_batches": (3, "Int64Value"),
            "num_batch_threads": (4, "Int64Value"),
            "thread_pool_name": (5, "StringValue"),
            "allowed_batch_sizes": (6, "*int64"),
            "pad_variable_length_inputs": (7, "bool"),
        },
    },
)


@dataclass(frozen=True)
class ModelEntry:
    """One model of the server, an entry of a models.config.

    Args:
        name: str.
        base_path: Path. Folder of its versions.
        latest: int. Serve this many of the newest versions; 0 serves all.
        specific: tuple of int. Serve exactly these versions.
        labels: mapping of label to version.
    """

    name: str
    base_path: Path
    latest: int = 1
    specific: tuple[int, ...] = ()
    labels: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def served_versions(self) -> list[int]:
        """Returns the versions on disk that are to be served, lowest first.

        Raises:
            OSError: the folder is missing or cannot be read, or is a file.
        """
        on_disk = list(version_folders(self.base_path))
        if self.specific:
            return [version for version in on_disk if version in self.specific]
        return on_disk[-self.latest :] if self.latest else on_disk


def read_models(path: Path) -> list[ModelEntry]:
    """Returns the models of a `models.config`, a ModelServerConfig in text format.

    Raises:
        ConfigError: not readable, or as of `models_of`.
    """
    from tensorflow_serving.config import model_server_config_pb2

    try:
        text = path.read_text(encoding="utf-8")
        config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    except (OSError, UnicodeDecodeError, RecursionError, text_format.ParseError) as error:
        raise ConfigError(
            f"{path}: not readable as a models.config: {_reason(error)}. Expected "
            'model_config_list { config { name: "..." base_path: "..." '
            'model_platform: "tensorflow" } }.'
        ) from error
    try:
        return models_of(config)
    except ConfigError as error:
        raise ConfigError(
            f"{path}: {error} Each config needs a name of its own, an absolute base_path, and "
            'model_platform: "tensorflow".'
        ) from None


def models_of(config: Any) -> list[ModelEntry]:
    """Returns the models of a ModelServerConfig.

    Raises:
        ConfigError: TensorFlow Serving refuses the configuration; says so in its words.
    """
    entries = config.model_config_list.config
    names = [entry.name for entry in entries]
    for entry in entries:
        if names.count(entry.name) > 1:
            raise ConfigError(f"Illegal to list model {entry.name} multiple times in config list.")
        # The addresses of other file systems are absolute, too.
        if not entry.base_path.startswith("/") and "://" not in entry.base_path:
            raise ConfigError(
                f"Expected model {entry.name} to have an absolute path or URI; got "
                f"base_path()={entry.base_path}."
            )
        _check_platform(entry)
    return [_model(entry) for entry in entries]


def _check_platform(entry: Any) -> None:
    """Refuses a model of another platform than TensorFlow, or of none.

    Raises:
        ConfigError: in the words of `ServerCore` of TensorFlow Serving.
    """
    kind, platform = entry.model_type, entry.model_platform
    if kind and platform:
        problem = (
            "Illegal setting both ModelServerConfig::model_type (deprecated) and "
            "ModelServerConfig::model_platform."
        )
    elif kind > 1:
        problem = f"ModelServerConfig::model_type choice {kind} not supported."
    elif not kind and not platform:
        problem = (
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            "ModelServerConfig::model_platform."
        )
    elif platform not in ("", "tensorflow"):
        problem = f"Model {entry.name} requests unsupported platform {platform}."
    else:
        return
    raise ConfigError(f"model {entry.name}: {problem}")


def _model(entry: Any) -> ModelEntry:
    policy = entry.model_version_policy
    latest = 1
    if policy.HasField("all"):
        latest = 0
    elif policy.HasField("latest"):
        latest = policy.latest.num_versions or 1
    return ModelEntry(
        entry.name,
        Path(entry.base_path),
        latest,
        tuple(policy.specific.versions),
        dict(entry.version_labels),
    )


def one_model(name: str, base_path: Path) -> list[ModelEntry]:
    """Returns the model of the options `--model_name` and `--model_base_path`."""
    return [ModelEntry(name, base_path)]


def read_ssl(path: Path) -> dict[str, Any]:
    """Returns server_key, server_cert, custom_ca and client_verify of an `ssl.config`.

    Raises:
        ConfigError: not readable.
    """
    expected = "server_key and server_cert with the PEM texts"
    config = _parsed(path, "an ssl.config", "SSLConfig", expected)
    names = ("server_key", "server_cert", "custom_ca", "client_verify")
    return {name: getattr(config, name) for name in names}


def read_monitoring(path: Path) -> str | None:
    """Returns the path of the metrics in a `monitoring.config`, None if they are disabled.

    Raises:
        ConfigError: not readable.
    """
    expected = 'prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }'
    config = _parsed(path, "a monitoring.config", "MonitoringConfig", expected).prometheus_config
    return (config.path or METRICS_PATH) if config.enable else None


def read_batching(path: Path) -> BatchingParameters:
    """Returns those parameters of a `batching.config` that this server follows.

    Raises:
        ConfigError: not readable.
    """
    expected = "max_batch_size { value: 16 }"
    config = _parsed(path, "a batching.config", "BatchingParameters", expected)
    return BatchingParameters(
        config.max_batch_size.value or BatchingParameters.max_rows,
        config.batch_timeout_micros.value / 1e6,
        config.num_batch_threads.value,
    )


def _parsed(path: Path, file_kind: str, message: str, expected: str) -> Any:
    """Returns the message that a file in text format holds."""
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), _CLASSES[message]())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ConfigError(
            f"{path}: not readable as {file_kind}: {_reason(error)}. Expected {expected}."
        ) from None


def _reason(error: OSError | UnicodeDecodeError | text_format.ParseError) -> str:
    """Returns why a file cannot be read, without its content but for the name of a wrong field.

    It may hold a private key, under any option, and the parser quotes the line at which it stops.
    """
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    wrong_field = re.search(r'has no field named "[a-z_]{1,30}"', str(error))
    return (
        f"line {error.GetLine()}, column {error.GetColumn()}"
        f"{': ' + wrong_field[0] if wrong_field else ''}"
    )
