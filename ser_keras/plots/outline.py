"""An outline around the cells of a map that hold half of its weight."""

from typing import Any

import numpy as np

OUTLINE = "#d55e00"


def outline_half(
    axes: Any, attention: np.ndarray, frame_edges_s: np.ndarray, row_edges: np.ndarray
) -> None:
    """Draws an outline around the heaviest cells, which hold half of the attention.

    Args:
        axes: matplotlib axes.
        attention: (rows, frames). Weights of the cells.
        frame_edges_s: (frames + 1,). In seconds.
        row_edges: (rows + 1,).
    """
    from matplotlib.patheffects import withStroke

    inside = np.pad(_half(attention), 1)
    x, y = (
        np.concatenate([edges[:1], (edges[1:] + edges[:-1]) / 2, edges[-1:]])
        for edges in (frame_edges_s, row_edges)
    )
    lines = axes.contour(x, y, inside, levels=[0.5], colors=OUTLINE, linewidths=1.5)
    lines.set_path_effects([withStroke(linewidth=3.5, foreground="white")])
    axes.set_title("inside the outline: half of the attention", fontsize="small")


def _half(weights: np.ndarray) -> np.ndarray:
    """Returns which cells are the heaviest and hold half of the weight, bool (rows, frames).

    Example:
        >>> _half(np.array([[0.3, 0.3, 0.1], [0.1, 0.1, 0.5]])).tolist()
        [[False, False, False], [False, False, True]]
    """
    weights = np.nan_to_num(weights)
    # A cell of the model covers several rows and frames; it counts once.
    rows = np.diff(weights, axis=0, prepend=np.nan).any(axis=1)
    frames = np.diff(weights, axis=1, prepend=np.nan).any(axis=0)
    falling = -np.sort(-weights[rows][:, frames], axis=None)
    enough = np.searchsorted(np.cumsum(falling), falling.sum() / 2)
    inside: np.ndarray = weights >= falling[enough]
    return inside
