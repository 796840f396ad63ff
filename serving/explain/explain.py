"""Explains a prediction: the attention maps of an export on the time line of the audio."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras.errors import ConfigError
from ser_keras.features.frames import FrameSpec, loud_part
from ser_keras.features.speech import check_speech, read_speech
from ser_keras.metrics import with_temperature
from ser_keras.plots.explanation import Explanation
from serving.explain.described_export import DescribedExport
from serving.explain.map_numbers import map_numbers
from serving.explain.signature_runners import RunSignature


def read_part(path: Path, start_s: float, seconds: float, sample_rate_hz: int) -> np.ndarray:
    """Returns the samples of a recording from `start_s` on, `seconds` of them at most.

    Raises:
        AudioError: the recording cannot be used, or there is no speech in the part.
        ConfigError: the part is empty.
    """
    waveform = read_speech(path, sample_rate_hz)
    part = waveform[round(start_s * sample_rate_hz) :][: round(seconds * sample_rate_hz)]
    if not len(part):
        raise ConfigError(
            f"{path}: found nothing in the {seconds:g} s from {start_s:g} s on, in a recording of "
            f"{len(waveform) / sample_rate_hz:.2f} s. Choose another --start or --seconds."
        )
    check_speech(part, f"{path} from {start_s:g} s on")
    return part


def explain(
    export: DescribedExport,
    run: RunSignature,
    waveform: np.ndarray,
    *,
    source: str,
    start_s: float = 0.0,
) -> Explanation:
    """Returns all maps that a model makes of a waveform, placed in the recording.

    Every frame has the values of the column of a map that is nearest to it. Where segments overlap,
    a frame has their mean. Weights are multiplied by their number: 1 is the weight of a frame or
    cell of a segment in which all count alike.

    Args:
        export: describes the model.
        run: runs its signatures, here or on a server.
        waveform: float32 (samples,) at the model's rate, at most `signatures.MAX_SECONDS`.
        source: name of the recording.
        start_s: float. Where in the recording the waveform begins.

    Raises:
        ConfigError: the model has no maps, or the export is of another version of this package.
    """
    inputs = {"waveform": waveform[None], "length": np.array([len(waveform)], np.int32)}
    outputs = run("explain", inputs)
    _check_maps(export, outputs)
    front_end = run("front_end", inputs)
    spec, frames = export.spec, int(front_end["frames"][0])
    values, value_name = spec.levels(front_end["features"][0, :frames])
    edges_s, ends_s = frame_times(spec, waveform, frames, start_s)
    row_edges, row_name = spec.value_axis()
    classes = [name.decode() for name in outputs["classes"][0]]
    if export.streams:
        maps, posterior, last_frames = _step_maps(export, outputs, frames)
        statistics: dict[str, Any] = {}
    else:
        maps, statistics = _frame_maps(export, outputs, frames)
        posterior, last_frames = np.zeros((0, len(classes))), np.zeros(0, int)
    return Explanation(
        system=export.about["model"],
        model=export.name,
        source=source,
        probabilities=dict(zip(classes, map(float, outputs["probabilities"][0]), strict=True)),
        waveform=waveform,
        sample_rate_hz=spec.sample_rate_hz,
        start_s=start_s,
        frame_edges_s=edges_s,
        features=values.T,
        feature_name=value_name,
        row_edges=row_edges,
        row_name=row_name,
        maps=maps,
        posterior=posterior,
        posterior_s=ends_s[last_frames],
        statistics=statistics,
    )


def frame_times(
    spec: FrameSpec, waveform: np.ndarray, frames: int, start_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the edges of the frames (frames + 1,) and where each ends (frames,), in seconds.

    A frame stands for the time around its middle. The first begins with its first sample, and the
    last ends with its last one.
    """
    length, hop = spec.vector_samples, spec.vector_hop_samples
    part = loud_part(spec, waveform)
    ends = np.minimum(part.start + np.arange(frames) * hop + length, part.stop)
    edges = part.start + np.arange(frames + 1) * hop + (length - hop) / 2
    edges[0], edges[-1] = part.start, ends[-1]
    return start_s + edges / spec.sample_rate_hz, start_s + ends / spec.sample_rate_hz


def _check_maps(export: DescribedExport, outputs: Mapping[str, np.ndarray]) -> None:
    needed = ["attention"]
    if export.streams:
        needed += ["step_logits", "prediction_mean", "normalized"]
    if missing := [name for name in needed if name not in outputs]:
        raise ConfigError(
            f"--model {export.folder}: its signature explain returns no {missing[0]}. Models "
            "without attention have no maps to show; export other models anew."
        )
    if "step_logits" in outputs and not export.streams:
        raise ConfigError(
            f"--model {export.folder}: found a predictive VRNN that was tested on segments "
            "or whose features need the whole recording, expected one that streams, which has a "
            "posterior at every step."
        )


def _frame_maps(
    export: DescribedExport, outputs: Mapping[str, np.ndarray], frames: int
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Returns the maps of a model that attends to frames or cells, (..., frames), and statistics.

    The statistics are those of the model's own columns, which may be fewer than the frames.
    """
    segment_frames, hop = export.segments
    dim, axes = export.spec.dim, export.map_geometry
    length = min(segment_frames or frames, frames)
    columns, rows = axes.time.count(length), axes.frequency.count(dim)

    def over_frames(segments: np.ndarray) -> np.ndarray:
        return _mean_of_segments(segments[..., axes.time.nearest_column(length)], frames, hop)

    def over_cells(segments: np.ndarray) -> np.ndarray:
        return over_frames(segments[..., axes.frequency.nearest_column(dim), :])

    # A model of whole utterances has one segment, which is the batch.
    by_segment = {
        name: values[0] if segment_frames else values
        for name, values in outputs.items()
        if name.startswith(("attention", "gamma", "top_down"))
    }
    maps = {}
    for name, segments in by_segment.items():
        if name == "gamma":
            maps[name] = segments[0]
        elif name == "top_down":
            maps[name] = over_cells(np.moveaxis(segments, -1, 1))
        elif name == "attention" and segments.ndim == 3:
            maps[name] = over_cells(segments * columns * rows)
        elif name.startswith("attention"):
            maps[name] = over_frames(segments * columns)
    return maps, map_numbers(by_segment, columns)


def _mean_of_segments(segments: np.ndarray, frames: int, hop: int) -> np.ndarray:
    """Returns (..., frames): for every frame the mean over the segments that hold it.

    Args:
        segments: (segments, ..., frames of a segment). The last one ends with the recording, see
            `ser_keras.data.segments.Segments`.
        frames: int. Frames of the recording.
        hop: int. Frames between the starts of two segments.

    Example:
        >>> _mean_of_segments(np.array([[1.0, 1.0], [3.0, 3.0]]), frames=3, hop=1).tolist()
        [1.0, 2.0, 3.0]
    """
    total, count = np.zeros((*segments.shape[1:-1], frames)), np.zeros(frames)
    size = segments.shape[-1]
    for number, segment in enumerate(segments):
        start = min(number * hop, frames - size)
        total[..., start : start + size] += segment
        count[start : start + size] += 1
    return total / count


def _step_maps(
    export: DescribedExport, outputs: Mapping[str, np.ndarray], frames: int
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Returns the maps of a predictive VRNN, its posterior (steps, K), the last frame of each step.

    Implements Baruah and Banerjee 2022, Sec. 2.3, Eq. (2): the saliency is the distance of a window
    from its prediction, in standard deviations of the training data.
    """
    time = export.map_geometry.time
    steps = time.count(frames)
    observed, predicted, sampled, logits = (
        outputs[name][0, :steps].astype(np.float64)
        for name in ("normalized", "prediction_mean", "attention", "step_logits")
    )
    saliency = np.abs(observed[1:] - predicted[:-1])
    saliency = np.concatenate([np.full_like(observed[:1], np.nan), saliency])
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    posterior = with_temperature(powers / powers.sum(axis=1, keepdims=True), export.temperature)
    ends = time.centre + time.reach / 2 + time.stride * np.arange(steps)
    last_frames = np.minimum(ends.astype(int), frames) - 1
    nearest = time.nearest_column(frames)
    maps = {"attention": sampled.T[:, nearest], "saliency": saliency.T[:, nearest]}
    maps["sampled_share"] = sampled.mean(axis=1)
    return maps, posterior, last_frames
