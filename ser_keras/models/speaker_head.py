"""What the five systems share where they are trained for two tracks: the speaker's statistics.

*Blind*, nothing is known of a speaker; *adapted*, the speaker's own unlabelled recordings are. A
model has three values that are normalised by speaker: the frames, the functionals of an utterance
(a side input beside the attention), and the pooled embedding that the attention makes.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import keras

from ser_keras.errors import ConfigError, unknown_name
from ser_keras.features.normalize import FeatureNormalizer
from ser_keras.layers.average_frames import AverageFrames
from ser_keras.layers.speaker_normalization import EmbeddingNormalization, SpeakerNormalization
from ser_keras.layers.time_mask import StridedMask

# What the training part's statistics weigh against those of a speaker.
PRIOR_FRAMES = 200
PRIOR_UTTERANCES = 2
LIMIT = 6.0
NOISE = 0.1
SIDE_DROPOUT = 0.2
SIZES = {"average_frames": 1, "functionals": 0, "functional_units": 256, "attention_units": 0}

Tensor = Any


def speaker_head(dim: int, sizes: Mapping[str, int] | None) -> "SpeakerHead | NoSpeakerHead":
    """Returns the head with these sizes, or one that adds nothing where they are None.

    Args:
        dim: int. Values per frame.
        sizes: mapping or None. Any of "average_frames": means of so many frames are what the model
            works on; "functionals": functionals of the utterance beside the embedding, 1243 with
            features `mel64-prosody`, 0 for none; "functional_units": the dense layer behind them;
            "attention_units": the hidden layer of the attention over frames, 0 for none.

    Raises:
        ConfigError: an unknown size, or one that is no whole number.
    """
    if sizes is None:
        return NoSpeakerHead()
    for name, size in sizes.items():
        if name not in SIZES:
            raise ConfigError(f"model.options.speaker: {unknown_name('size', name, SIZES)}")
        least = min(1, SIZES[name])
        if isinstance(size, bool) or not isinstance(size, int) or size < least:
            raise ConfigError(
                f"model.options.speaker: found {name}={size!r}, expected a whole number from "
                f"{least} on."
            )
    return SpeakerHead(dim, **(SIZES | dict(sizes)))


class NoSpeakerHead:
    """Stands where a model is not normalised by speaker, and adds nothing."""

    inputs: ClassVar[Mapping[str, Tensor]] = {}
    attention_units = 0

    def frames(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Returns frames and mask as they are."""
        return x, mask

    def embedding(self, pooled: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Returns the pooled vector as it is, and no outputs."""
        return pooled, {}


class SpeakerHead:
    """The inputs of a model for both tracks, and the layers that use them.

    The inputs are "frame_statistics" (batch, 1 + 2 dim), "embedding_statistics" and, with
    functionals, "functional_statistics", as `SpeakerNormalization` takes them; "functionals"
    (batch, functionals); and "speaker", int (batch,), which is used in training alone.

    Args:
        dim: int. Values per frame.
        average_frames: int. Means of so many frames are what the model works on.
        functionals: int. Functionals of an utterance; 0 leaves out the side input.
        functional_units: int. Size of the dense layer behind the functionals.
        attention_units: int. Size of the hidden layer of an `AttentionPooling`; 0 for none.
    """

    def __init__(
        self,
        dim: int,
        average_frames: int,
        functionals: int,
        functional_units: int,
        attention_units: int,
    ):
        self.average_frames, self.functional_units = average_frames, functional_units
        self.attention_units = attention_units
        self.inputs = {
            "speaker": keras.Input((), dtype="int32", name="speaker"),
            "frame_statistics": _statistics("frame", dim),
        }
        if functionals:
            self.inputs["functionals"] = keras.Input((functionals,), name="functionals")
            self.inputs["functional_statistics"] = _statistics("functional", functionals)

    def frames(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Adds the normalisation of the frames by speaker, and their means.

        Args:
            x: (batch, frames, dim), standardised on the training part.
            mask: bool (batch, frames).

        Returns:
            The frames that the model works on, and their mask.
        """
        x = SpeakerNormalization(PRIOR_FRAMES, name="speaker_frames")(
            x, self.inputs["frame_statistics"], mask=mask
        )
        if self.average_frames == 1:
            return x, mask
        x = AverageFrames(self.average_frames, name="average_frames")(x, mask=mask)
        stride = self.average_frames
        return x, StridedMask(window=1, stride=stride, name="average_columns")(mask)

    def embedding(self, pooled: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Adds the normalisation of the pooled vector, and the functionals beside it.

        Returns:
            The vector to classify, (batch, values), and the output "embedding", float32 (batch, dim
            of `pooled`), whose statistics describe a speaker.
        """
        normalized, outputs = self.normalized(pooled)
        if "functionals" in self.inputs:
            x = self.dense_functionals()
            x = keras.layers.BatchNormalization(momentum=0.9, name="functional_batch_norm")(x)
            x = keras.layers.ReLU(name="functional_relu")(x)
            normalized = keras.layers.Concatenate(name="beside")([normalized, x])
        return normalized, outputs

    def normalized(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Adds the normalisation of one vector of an utterance by speaker.

        Returns:
            The vector, (batch, dim of `x`), and the output "embedding" of the same shape.
        """
        self.inputs["embedding_statistics"] = _statistics("embedding", x.shape[-1])
        normalized, standardized = EmbeddingNormalization(PRIOR_UTTERANCES, name="embedding")(
            x, self.inputs["embedding_statistics"], self.inputs["speaker"]
        )
        return normalized, {"embedding": standardized}

    def dense_functionals(self) -> Tensor:
        """Adds the side input: functionals by speaker, then a dense layer, (batch, units)."""
        x = FeatureNormalizer(name="functional_normalizer")(self.inputs["functionals"])
        x = SpeakerNormalization(PRIOR_UTTERANCES, LIMIT, name="speaker_functionals")(
            x, self.inputs["functional_statistics"]
        )
        x = keras.layers.GaussianNoise(NOISE, name="functional_noise")(x)
        x = keras.layers.Dropout(SIDE_DROPOUT, name="functional_dropout")(x)
        return keras.layers.Dense(self.functional_units, use_bias=False, name="functional_dense")(x)


def _statistics(kind: str, dim: int) -> Tensor:
    return keras.Input((1 + 2 * dim,), name=f"{kind}_statistics")
