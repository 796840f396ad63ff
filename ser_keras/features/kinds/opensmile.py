"""The feature kind `opensmile`: one row of openSMILE's functionals for a whole recording."""

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from ser_keras.errors import ConfigError
from ser_keras.features.frames import FrameSpec

# The name of each set in openSMILE, and its number of functionals.
_SETS = {"compare": ("ComParE_2016", 6373), "egemaps": ("eGeMAPSv02", 88)}


@dataclass(frozen=True, kw_only=True)
class OpenSmileSpec(FrameSpec):
    """Functionals of openSMILE's low-level descriptors over a whole recording.

    A functional is a statistic, such as the mean or a percentile, of a descriptor, such as the
    loudness or the fundamental frequency, over time. The sets are those of the ComParE challenges
    (Weninger et al. 2013, Frontiers in Psychology 4: 292) and eGeMAPS (Eyben et al. 2016, IEEE
    Transactions on Affective Computing 7(2): 190-202).

    They need the extra `opensmile`, whose licence is for research. A model's graph cannot compute
    them, so models of them are not exported.

    Args:
        feature_set: str. `"compare"` or `"egemaps"`.

    The fields of a frame describe the longest of openSMILE's frames. They serve `trim_db`, and a
    recording that is shorter is padded to one. openSMILE's own settings are fixed by the set, so
    that only `feature_set` and `trim_db` can be chosen.
    """

    frame_length_s: float = 0.060
    fft_points: int = 1024
    feature_set: str = "compare"

    kind: ClassVar[str] = "opensmile"
    libraries: ClassVar[tuple[str, ...]] = ("opensmile",)
    choices: ClassVar[dict[str, tuple[Any, ...]]] = {
        **FrameSpec.choices,
        "feature_set": tuple(_SETS),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in ("feature_set", "trim_db") and value != field.default:
                self._refuse(field.name, value, f"{field.default!r}, which openSMILE's set fixes")

    @property
    def dim(self) -> int:
        """Number of functionals."""
        return _SETS[self.feature_set][1]

    def num_frames(self, num_samples: int) -> int:
        """Returns 1: a recording has one row, whatever its length."""
        del num_samples
        return 1

    def compute(self, waveform: np.ndarray) -> np.ndarray:
        """Returns the functionals of a trimmed waveform, float32 (1, dim).

        Raises:
            ConfigError: the extra `opensmile` is not installed.
        """
        padded = np.pad(waveform, (0, max(0, self.frame_samples - len(waveform))))
        table = _smile(self.feature_set).process_signal(padded, self.sample_rate_hz)
        functionals: np.ndarray = table.to_numpy(np.float32)
        return functionals

    def value_axis(self) -> tuple[np.ndarray, str]:
        """Returns the edges of the functionals on their axis (dim + 1,), and its name."""
        return super().value_axis()[0], "functional (number)"


@lru_cache
def _smile(feature_set: str) -> Any:
    """Returns openSMILE set up for a set of functionals; once in a process, since that is slow."""
    try:
        import opensmile
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"features {feature_set}: found no package opensmile, which computes them; its licence "
            "is for research. Install it with: pip install -c constraints.txt -e '.[opensmile]'"
        ) from error
    return opensmile.Smile(
        feature_set=opensmile.FeatureSet[_SETS[feature_set][0]],
        feature_level=opensmile.FeatureLevel.Functionals,
    )
