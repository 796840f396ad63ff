"""Where the columns and rows of a model's attention maps lie on its input.

`ser export` writes this into `model.json`, so that those who draw the maps need neither the model
nor Keras.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class MapAxis:
    """Where the columns of a map lie on the frames, or its rows on the values of a frame.

    The defaults are those of a map with a column for every frame.

    Args:
        centre: float. Middle of the first column, in frames; frame t reaches from t to t + 1.
        stride: int. Frames from one column to the next.
        reach: int. Frames that strided windows lead to one column.
        minimum: int. Frames that the first column needs; every further `stride` frames make one
            column more.
    """

    centre: float = 0.5
    stride: int = 1
    reach: int = 1
    minimum: int = 1

    def count(self, frames: int) -> int:
        """Returns the number of columns of so many frames that are not padding, 1 or more.

        Example:
            >>> axis = MapAxis(centre=2.0, stride=4, reach=4, minimum=4)
            >>> [axis.count(frames) for frames in (1, 7, 8)]
            [1, 1, 2]
        """
        return max(1, 1 + (frames - self.minimum) // self.stride)

    def nearest_column(self, frames: int) -> np.ndarray:
        """Returns the nearest column of each of `frames` frames, int (frames,).

        Example:
            >>> MapAxis(centre=2.0, stride=4, reach=4, minimum=4).nearest_column(9).tolist()
            [0, 0, 0, 0, 1, 1, 1, 1, 1]
        """
        middles = np.arange(frames) + 0.5
        nearest = np.floor((middles - self.centre) / self.stride + 0.5).astype(int)
        return np.clip(nearest, 0, self.count(frames) - 1)


@dataclass(frozen=True)
class MapGeometry:
    """The axes of all maps of a model.

    Args:
        time: columns of the maps on the frames of a segment.
        frequency: rows of the maps on the values of a frame.
    """

    time: MapAxis
    frequency: MapAxis

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "MapGeometry":
        """Returns the geometry that `to_dict` wrote."""
        return cls(MapAxis(**values["time"]), MapAxis(**values["frequency"]))


def map_geometry(model: "keras.Model") -> MapGeometry:
    """Returns where the maps of a model lie on its input.

    The models whose maps have rows of their own, those of spectrograms, treat frequency as they
    treat time. In all others every value is a row.
    """
    axis = map_axis(model)
    attention = model.output.get("attention")
    has_cells = attention is not None and len(attention.shape) == 3
    # The map of a predictive VRNN has all values of its windows.
    is_vrnn = "step_logits" in model.output
    return MapGeometry(axis, axis if has_cells and not is_vrnn else MapAxis())


def map_axis(model: "keras.Model") -> MapAxis:
    """Returns where the columns of a model's maps lie on the frames, from its strided layers."""
    from ser_keras.layers.time_mask import StridedMask
    from ser_keras.layers.window_statistics import WindowStatistics

    centre, stride, reach, minimum = 0.5, 1, 1, 1
    for layer in model.layers:
        if isinstance(layer, StridedMask):
            step, padding, required = layer.stride, layer.padding, layer.window
            # The mask of a pooling that rounds up has window 1.
            window = max(layer.window, layer.stride)
        elif isinstance(layer, WindowStatistics):
            step, padding, window = layer.hop, 0, layer.window
            # The last window may be shorter; there is one if its predecessor left a frame.
            required = layer.window - layer.hop + 1
        else:
            continue
        centre += ((window - 1) / 2 - padding) * stride
        reach += (window - 1) * stride
        minimum += (required - 1 - 2 * padding) * stride
        stride *= step
    return MapAxis(centre, stride, reach, minimum)
