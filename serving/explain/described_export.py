"""A published export and its description, `model.json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ser_keras.errors import ConfigError
from ser_keras.features.frames import FrameSpec
from ser_keras.features.specs import spec_from_dict
from ser_keras.files import plain_name, read_json
from serving.export.layout import version_folders
from serving.export.map_geometry import MapGeometry


@dataclass(frozen=True)
class DescribedExport:
    """A published version of a model. Made by `open_export`.

    Args:
        folder: Path of the version.
        about: mapping. What `ser export` wrote about it, see `serving.export.export.describe`.
    """

    folder: Path
    about: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name and version."""
        return f"{self.about['name']} {self.folder.name}"

    @property
    def spec(self) -> FrameSpec:
        """The features of the model."""
        return spec_from_dict(self.about["spec"])

    @property
    def map_geometry(self) -> MapGeometry:
        """Where the columns and rows of the model's maps lie."""
        return MapGeometry.from_dict(self.about["map_geometry"])

    @property
    def streams(self) -> bool:
        """Whether the model predicts step by step while a recording goes on."""
        streams: bool = self.about["streams"]
        return streams

    @property
    def segments(self) -> tuple[int, int]:
        """Frames of a segment, 0 for a model of whole utterances, and frames between two starts."""
        batch = self.about["config"]["batch"]
        return batch["segment_frames"], batch["test_hop"]

    @property
    def temperature(self) -> float:
        """Temperature of the probabilities; the first exports were not calibrated."""
        temperature: float = self.about.get("calibration", {"temperature": 1.0})["temperature"]
        return temperature


def open_export(path: Path) -> DescribedExport:
    """Returns the export in a version's folder, or the newest one in a model's folder.

    Raises:
        ConfigError: there is none, or it was not published by `ser export`.
        SchemaError: its description is damaged.
    """
    folders = list(version_folders(path).values()) if path.is_dir() else []
    folder = folders[-1] if folders else path
    if not (folder / "saved_model.pb").is_file():
        raise ConfigError(
            f"--model {path}: found no saved_model.pb, expected the folder of an export or of one "
            "of its versions. Publish one with ser export."
        )
    description = folder / "assets.extra" / "model.json"
    if not description.is_file():
        raise ConfigError(
            f"--model {path}: found no {description.relative_to(folder)} in {folder}, which "
            "describes the model's features. Export the model with ser export."
        )
    about = read_json(
        description,
        "the description of an export",
        "Export the model with ser export.",
        keys=("name", "model", "spec", "classes", "sample_rate_hz"),
    )
    plain_name(about["name"], f"{description}, name")
    if "map_geometry" not in about:
        about |= _missing_facts(about)
    return DescribedExport(folder, about)


def _missing_facts(about: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what old versions of `ser export` did not write, from a rebuilt model; needs Keras.

    Raises:
        ConfigError: this version of the package cannot build the model.
    """
    from ser_keras.data.segments import Segments
    from ser_keras.models import build_model
    from serving.export.map_geometry import map_geometry
    from serving.export.signatures import Served

    spec, config = spec_from_dict(about["spec"]), about["config"]
    options = config["model"]["options"]
    classes = about["classes"]
    model = build_model(about["model"], num_classes=len(classes), dim=spec.dim, **options)
    segments = Segments(config["batch"]["segment_frames"], config["batch"]["test_hop"])
    return {
        "map_geometry": map_geometry(model).to_dict(),
        "streams": Served(model, spec, classes, segments).streams,
    }
