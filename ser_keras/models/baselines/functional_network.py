"""A dense network on functionals of an utterance: what the systems' attention stands beside.

It is the smallest model for both tracks. It has the side input that the five systems have, and in
the place of a system's layers nothing but an attention over the frames themselves.
"""

from collections.abc import Mapping

import keras

from ser_keras.errors import ConfigError
from ser_keras.features.normalize import FeatureNormalizer
from ser_keras.layers.frame_attention import AttentionPooling
from ser_keras.models.speaker_head import speaker_head


def build_functional_network(
    num_classes: int,
    dim: int = 75,
    *,
    dropout: float = 0.5,
    speaker: Mapping[str, int] | None = None,
    name: str = "functional_network",
) -> keras.Model:
    """Returns the functional model of a dense network on functionals, with random weights.

    Args:
        num_classes: int. Output units, in the order of the class set.
        dim: int. Values per frame.
        dropout: float. Share of the values dropped before the classifier.
        speaker: mapping. Sizes of a `SpeakerHead`, of which "functionals" must be at least 1.
        name: str.

    Call arguments:
        features: float (batch, frames, dim), of any number of frames.
        mask: bool (batch, frames), True for real frames, which come first.
        Those of `SpeakerHead`.

    Returns:
        keras.Model with outputs "logits", float32 (batch, num_classes), "attention", float32
        (batch, T'), which sums to 1 over the averaged frames, and "embedding", float32 (batch, 2
        dim): the weighted mean and deviation of the frames.

    Raises:
        ConfigError: no sizes of a head, unknown ones, or no functionals.

    Example:
        >>> model = build_functional_network(4, 75, speaker={"functionals": 1243})
        >>> model.output["embedding"].shape, model.output["logits"].shape
        ((None, 150), (None, 4))
    """
    if not speaker or not speaker.get("functionals"):
        raise ConfigError(
            f"{name}: speaker={speaker!r}; expected the size of its functionals, as in speaker: "
            "{functionals: 1243} for features mel64-prosody."
        )
    head = speaker_head(dim, speaker)

    # === Functional Model ===
    features = keras.Input((None, dim), name="features")
    frames = keras.Input((None,), dtype="bool", name="mask")
    x = FeatureNormalizer(name="normalizer")(features, mask=frames)
    x, mask = head.frames(x, frames)
    pooled, attention = AttentionPooling(deviation=True, name="attention")(x, mask=mask)
    pooled, adapted = head.embedding(pooled)
    pooled = keras.layers.Dropout(dropout, name="dropout")(pooled)
    logits = keras.layers.Dense(num_classes, dtype="float32", name="classifier")(pooled)
    inputs = {"features": features, "mask": frames, **head.inputs}
    return keras.Model(inputs, {"logits": logits, "attention": attention, **adapted}, name=name)
