"""Where the columns and rows of a model's maps lie: in frames and seconds."""

from dataclasses import dataclass

import keras
import numpy as np

from ser_keras.features.frames import FrameSpec, loud_part
from ser_keras.layers import StridedMask, WindowStatistics


@dataclass(frozen=True)
class Columns:
    """Where the columns of a map lie on the frames, or its rows on the values of a frame.

    Args:
        count: int. Columns that are not padding.
        centre: float. Middle of the first, in frames; frame t reaches from t to t + 1.
        stride: int. Frames from one column to the next.
        reach: int. Frames that strided windows lead to one column.
    """

    count: int
    centre: float
    stride: int
    reach: int

    def owners(self, size: int) -> np.ndarray:
        """Returns the nearest column of each of `size` frames, int (size,).

        Example:
            >>> Columns(count=2, centre=2.0, stride=4, reach=4).owners(9).tolist()
            [0, 0, 0, 0, 1, 1, 1, 1, 1]
        """
        middles = np.arange(size) + 0.5
        nearest = np.floor((middles - self.centre) / self.stride + 0.5).astype(int)
        return np.clip(nearest, 0, self.count - 1)


def columns(model: keras.Model, size: int) -> Columns:
    """Returns where the columns of a model's maps lie on `size` frames.

    The strided layers of a system treat frequency as they treat time, so that this holds for the
    rows of a map and the values of a frame, too.
    """
    count, centre, stride, reach = size, 0.5, 1, 1
    for layer in model.layers:
        if isinstance(layer, StridedMask):
            count = layer.compute_output_shape((None, count))[1]
            # A pooling that rounds up says window 1 of its mask.
            window, step, padding = max(layer.window, layer.stride), layer.stride, layer.padding
        elif isinstance(layer, WindowStatistics):
            starts = -(-count // layer.hop)
            count = min(starts, 1 + -(-max(count - layer.window, 0) // layer.hop))
            window, step, padding = layer.window, layer.hop, 0
        else:
            continue
        centre += ((window - 1) / 2 - padding) * stride
        reach += (window - 1) * stride
        stride *= step
    return Columns(max(count, 1), centre, stride, reach)


def frame_times(
    spec: FrameSpec, waveform: np.ndarray, frames: int, start_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the edges of the frames (frames + 1,) and where each ends (frames,), in seconds.

    A frame stands for the time around its middle; the first and the last reach as far as they hear.
    """
    length, hop = spec.vector_samples, spec.vector_hop_samples
    heard = loud_part(spec, waveform)
    ends = np.minimum(heard.start + np.arange(frames) * hop + length, heard.stop)
    edges = heard.start + np.arange(frames + 1) * hop + (length - hop) / 2
    edges[0], edges[-1] = heard.start, ends[-1]
    return start_s + edges / spec.sample_rate_hz, start_s + ends / spec.sample_rate_hz
