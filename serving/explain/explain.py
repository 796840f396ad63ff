"""What an export listened to in a recording: its maps, put back on the time line of the audio."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ser_keras.audio import read_audio
from ser_keras.data.segments import Segments
from ser_keras.errors import ConfigError, ServingError
from ser_keras.features.specs import spec_from_dict
from ser_keras.metrics import with_temperature
from ser_keras.models import build_model
from ser_keras.plots.explanation import Explanation
from serving.client.endpoint import Endpoint
from serving.explain.map_geometry import columns, frame_times
from serving.explain.map_numbers import map_numbers
from serving.export.layout import versions

if TYPE_CHECKING:
    from serving.client.client import SerClient

STREAMING = "predictive_vrnn"
# Exports from before there was one.
UNCHANGED = {"temperature": 1.0}

# Takes a signature's name and its inputs, returns its outputs.
Ask = Callable[[str, Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class DescribedExport:
    """A published version: its folder, and what `ser export` wrote of it. Made by `open_export`."""

    folder: Path
    about: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name and version."""
        return f"{self.about['name']} {self.folder.name}"


# === Exports ===


def open_export(path: Path) -> DescribedExport:
    """Returns the export in a version's folder, or the newest one in a model's folder.

    Raises:
        ConfigError: there is none, or it was not published by `ser export`.
    """
    numbers = versions(path)
    folder = path / str(numbers[-1]) if numbers else path
    if not (folder / "saved_model.pb").is_file():
        raise ConfigError(
            f"--model {path}: found no saved_model.pb, expected the folder of an export or of one "
            "of its versions. Publish one with ser export."
        )
    described = folder / "assets.extra" / "model.json"
    if not described.is_file():
        raise ConfigError(
            f"--model {path}: found no {described.relative_to(folder)} in {folder}, which says "
            "what the model's frames are. Export the model with ser export."
        )
    return DescribedExport(folder, json.loads(described.read_text(encoding="utf-8")))


@contextmanager
def loaded(export: DescribedExport) -> Iterator[Ask]:
    """Gives what runs the export's signatures in this process.

    Raises:
        ConfigError: TensorFlow cannot load it.
    """
    import tensorflow as tf

    from serving.export.signatures import is_news

    logging.getLogger("absl").addFilter(is_news)
    try:
        signatures = tf.saved_model.load(str(export.folder)).signatures
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ConfigError(
            f"--model {export.folder}: TensorFlow cannot load it ({error}). Copy it again, or "
            "export the model anew."
        ) from None

    def ask(name: str, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        said = signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
        return {key: value.numpy() for key, value in said.items()}

    yield ask


@contextmanager
def served(export: DescribedExport, endpoint: Endpoint) -> Iterator[Ask]:
    """Gives what runs the export's signatures on a server.

    Raises:
        ServingError: the server does not answer, or refuses.
    """
    from serving.client.client import ServerError

    number = export.folder.name
    version = int(number) if number.isdecimal() else None
    with endpoint.client(export.about["name"], version) as client:
        try:
            yield ask_of(client)
        except ServerError as error:
            raise ServingError(
                f"{error}. Start it with ser serve, look at its certificates, or leave --server "
                "out."
            ) from None


def ask_of(client: "SerClient") -> Ask:
    """Returns what runs the signatures of a client's model on its server."""
    return lambda signature, inputs: client.ask(inputs, signature)[0]


def read_part(path: Path, start_s: float, seconds: float, sample_rate_hz: int) -> np.ndarray:
    """Returns the samples of a recording from `start_s` on, `seconds` of them at most.

    Raises:
        AudioError: the recording cannot be used.
        ConfigError: it has no sound there.
    """
    waveform = read_audio(path, sample_rate_hz=sample_rate_hz)
    part = waveform[round(start_s * sample_rate_hz) :][: round(seconds * sample_rate_hz)]
    if not part.any():
        raise ConfigError(
            f"{path}: found no sound in the {seconds:g} s from {start_s:g} s on, in a recording of "
            f"{len(waveform) / sample_rate_hz:.2f} s. Choose another --start or --seconds."
        )
    return part


# === Explanations ===


def explain(
    export: DescribedExport, ask: Ask, waveform: np.ndarray, *, source: str, start_s: float = 0.0
) -> Explanation:
    """Returns everything that a model shows of a waveform, with its place in the recording.

    Every frame has the values of the column of a map that is nearest to it, and where segments
    overlap their mean. Weights are multiplied by their number: 1 is what each frame or cell of a
    segment has where all count alike.

    Args:
        export: what the model is.
        ask: runs its signatures, here or on a server.
        waveform: float32 (samples,) at the model's rate, at most `signatures.MAX_SECONDS`.
        source: what the recording is called.
        start_s: float. Where in the recording the waveform begins.

    Raises:
        ConfigError: the model shows nothing, or the export is of another version of this package.
    """
    about, spec = export.about, spec_from_dict(export.about["spec"])
    inputs = {"waveform": waveform[None], "length": np.array([len(waveform)], np.int32)}
    said = dict(ask("explain", inputs))
    _check_maps(export, said)
    front = ask("front_end", inputs)
    classes = [name.decode() for name in said["classes"][0]]
    config = about["config"]
    model = build_model(
        about["model"], num_classes=len(classes), dim=spec.dim, **config["model"]["options"]
    )
    segments = Segments(config["batch"]["segment_frames"], config["batch"]["test_hop"])
    frames = int(front["frames"][0])
    values, value_name = spec.levels(front["features"][0, :frames])
    edges, ends = frame_times(spec, waveform, frames, start_s)
    rows, row_name = spec.value_axis()
    posterior, last, statistics = np.zeros((0, len(classes))), np.zeros(0, int), dict[str, Any]()
    if about["model"] == STREAMING:
        maps, posterior, last = _emergent(model, said, frames)
        posterior = with_temperature(posterior, about.get("calibration", UNCHANGED)["temperature"])
    else:
        maps, statistics = _attended(model, said, (frames, spec.dim), segments)
    return Explanation(
        system=about["model"],
        model=export.name,
        source=source,
        probabilities=dict(zip(classes, map(float, said["probabilities"][0]), strict=True)),
        waveform=waveform,
        sample_rate_hz=spec.sample_rate_hz,
        start_s=start_s,
        frame_edges_s=edges,
        features=values.T,
        feature_name=value_name,
        row_edges=rows,
        row_name=row_name,
        maps=maps,
        posterior=posterior,
        posterior_s=ends[last],
        statistics=statistics,
    )


def _check_maps(export: DescribedExport, said: Mapping[str, np.ndarray]) -> None:
    needed = ["attention"]
    if export.about["model"] == STREAMING:
        needed += ["step_logits", "prediction_mean", "normalized"]
    if missing := [name for name in needed if name not in said]:
        raise ConfigError(
            f"--model {export.folder}: its signature explain returns no {missing[0]}. Models "
            "without attention have nothing to show; of others, export the run anew."
        )
    if export.about["model"] == STREAMING and "segments" in said:
        raise ConfigError(
            f"--model {export.folder}: found a predictive VRNN that was tested on segments, "
            "expected one of whole utterances, whose posterior runs along with the speech."
        )


def _attended(
    model: keras.Model,
    said: Mapping[str, np.ndarray],
    shape: tuple[int, int],
    segments: Segments,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Returns the maps of a model that attends to frames or cells, on features of that shape.

    Their numbers come with them: of the model's own columns, which may be fewer than the frames.
    """
    frames, dim = shape
    length = min(segments.frames or frames, frames)
    time, rows = columns(model, length), columns(model, dim)

    def over_frames(pieces: np.ndarray) -> np.ndarray:
        return _on_time_line(pieces[..., time.owners(length)], frames, segments.hop)

    def over_cells(pieces: np.ndarray) -> np.ndarray:
        return over_frames(pieces[..., rows.owners(dim), :])

    # A model of whole utterances has one segment, which is the batch.
    by_segment = {
        name: value[0] if segments.frames else value
        for name, value in said.items()
        if name.startswith(("attention", "gamma", "top_down"))
    }
    maps = {}
    for name, pieces in by_segment.items():
        if name == "gamma":
            maps[name] = pieces[0]
        elif name == "top_down":
            maps[name] = over_cells(np.moveaxis(pieces, -1, 1))
        elif name == "attention" and pieces.ndim == 3:
            maps[name] = over_cells(pieces * time.count * rows.count)
        elif name.startswith("attention"):
            maps[name] = over_frames(pieces * time.count)
    return maps, map_numbers(by_segment, time.count)


def _on_time_line(pieces: np.ndarray, frames: int, hop: int) -> np.ndarray:
    """Returns (..., frames): at each frame the mean of the segments that hold it, see `Segments`.

    Example:
        >>> _on_time_line(np.array([[1.0, 1.0], [3.0, 3.0]]), frames=3, hop=1).tolist()
        [1.0, 2.0, 3.0]
    """
    total, count = np.zeros((*pieces.shape[1:-1], frames)), np.zeros(frames)
    size = pieces.shape[-1]
    for number, piece in enumerate(pieces):
        start = min(number * hop, frames - size)
        total[..., start : start + size] += piece
        count[start : start + size] += 1
    return total / count


def _emergent(
    model: keras.Model, said: Mapping[str, np.ndarray], frames: int
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Returns the maps of a predictive VRNN; its posterior at each window, whose last frames.

    Implements Baruah and Banerjee 2022, Sec. 2.3, Eq. (2): the saliency is how far the window is
    from what was predicted of it, in deviations of the training data.
    """
    time = columns(model, frames)
    seen, predicted, sampled, logits = (
        said[name][0, : time.count].astype(np.float64)
        for name in ("normalized", "prediction_mean", "attention", "step_logits")
    )
    saliency = np.abs(seen[1:] - predicted[:-1])
    saliency = np.concatenate([np.full_like(seen[:1], np.nan), saliency])
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    ends = time.centre + time.reach / 2 + time.stride * np.arange(time.count)
    last = np.minimum(ends.astype(int), frames) - 1
    owners = time.owners(frames)
    maps = {"attention": sampled.T[:, owners], "saliency": saliency.T[:, owners]}
    maps["sampled_share"] = sampled.mean(axis=1)
    return maps, powers / powers.sum(axis=1, keepdims=True), last
