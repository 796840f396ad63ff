"""The parts of a member's export that an ensemble puts together."""

from collections.abc import Callable

import tensorflow as tf

from serving.export.signatures import Outputs, ServedModule
from serving.export.speaker_signatures import SpeakerSignatures

# Features (batch, frames, dim) and mask (batch, frames).
Framed = tuple[tf.Tensor, tf.Tensor]


class MemberModule(ServedModule):
    """The parts of a member's export that an ensemble puts together.

    Args:
        served: the member.
    """

    def framed(self, waveform: tf.Tensor, length: tf.Tensor) -> Framed:
        """Returns features and mask."""
        return self._features(waveform, length)

    def masked(self, features: tf.Tensor, frames: tf.Tensor) -> Framed:
        """Returns features and mask of a request with features, after checks of their lengths."""
        return self._masked(features, frames)

    def probabilities(self, features: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Returns the probabilities on the blind track, float32 (batch, K)."""
        return self._outputs(features, mask)["probabilities"]

    def maps_of(self, features: tf.Tensor, mask: tf.Tensor) -> Outputs:
        """Returns all outputs with every map, for an explanation."""
        return self._outputs(features, mask, every_map=True)

    def speaker_bodies(self, framed: Framed) -> dict[str, Callable[..., Outputs]]:
        """Returns the functions of the adapted track on features that were computed before."""
        return self.adapted_speakers.bodies(lambda waveform, length: framed, self._outputs)

    @property
    def adapted_speakers(self) -> SpeakerSignatures:
        """The signatures of the adapted track, of a member that has it."""
        if self.speakers is None:
            raise AttributeError(f"{self.model.name}: has no adapted track")
        return self.speakers
