"""A dense network on functionals of an utterance: what the systems' attention stands beside.

It is the smallest model for both tracks: the side input that the five systems have, alone. Its one
hidden layer is what is normalised by speaker.
"""

from collections.abc import Mapping

import keras

from ser_keras.errors import ConfigError
from ser_keras.features.normalize import FeatureNormalizer
from ser_keras.models.speaker_head import NoSpeakerHead, speaker_head


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
        Those of `SpeakerHead`; the functionals of the frames are one of them.

    Returns:
        keras.Model with outputs "logits", float32 (batch, num_classes), "embedding", float32
        (batch, units): the hidden layer, whose statistics describe a speaker, and "normalized",
        (batch, frames, dim): the frames as the systems take them, on which no logit depends.

    Raises:
        ConfigError: no sizes of a head, unknown ones, or no functionals.

    Example:
        >>> model = build_functional_network(4, 75, speaker={"functionals": 1243})
        >>> model.output["embedding"].shape, model.output["logits"].shape
        ((None, 256), (None, 4))
    """
    head = speaker_head(dim, speaker)
    if isinstance(head, NoSpeakerHead) or "functionals" not in head.inputs:
        raise ConfigError(
            f"{name}: speaker={speaker!r}; expected the size of its functionals, as in speaker: "
            "{functionals: 1243} for features mel64-prosody."
        )

    # === Functional Model ===
    features = keras.Input((None, dim), name="features")
    mask = keras.Input((None,), dtype="bool", name="mask")
    frames = FeatureNormalizer(name="normalizer")(features, mask=mask)
    frames, _ = head.frames(frames, mask)
    x, adapted = head.normalized(head.dense_functionals())
    x = keras.layers.ReLU(name="relu")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    logits = keras.layers.Dense(num_classes, dtype="float32", name="classifier")(x)
    inputs = {"features": features, "mask": mask, **head.inputs}
    outputs = {"logits": logits, "normalized": frames, **adapted}
    return keras.Model(inputs, outputs, name=name)
