"""The functionals of every utterance of a feature set, computed once by the layer of an export."""

from functools import lru_cache
from pathlib import Path

import keras
import numpy as np

from ser_keras.data.batches import evaluation_batches
from ser_keras.data.feature_set import FeatureSet
from ser_keras.data.part import UNLABELLED, FoldPart
from ser_keras.errors import ConfigError
from ser_keras.features.frames import FrameSpec
from ser_keras.features.specs import spec_from_dict
from ser_keras.layers.utterance_functionals import UtteranceFunctionals

_BATCH_SIZE = 32
# So many utterances need no look at the others of their set.
_FEW = 64


def functionals_layer(spec: FrameSpec) -> UtteranceFunctionals:
    """Returns the layer that computes the functionals of features of a spec.

    Raises:
        ConfigError: the features have no prosodic values.
    """
    if spec.kind != "prosody":
        raise ConfigError(
            f"functionals: found features of kind {spec.kind!r}, expected 'prosody', as in "
            "mel64-prosody. Set model.options.speaker.functionals to 0, or choose that spec."
        )
    num_mels: int = vars(spec)["num_mels"]
    return UtteranceFunctionals(num_mels=num_mels, hop_s=spec.hop_s)


def check_functionals(model: keras.Model, spec: FrameSpec) -> None:
    """Checks that a model has as many functionals as the features of a spec give.

    Raises:
        ConfigError: it has another number, or the features have no prosodic values.
    """
    if "functionals" not in model.input:
        return
    number, expected = model.input["functionals"].shape[-1], functionals_layer(spec).size
    if number != expected:
        raise ConfigError(
            f"config: model.options.speaker.functionals is {number}, expected {expected} with "
            f"these features. Set it to {expected}, or to 0 for none."
        )


def functionals_of(part: FoldPart) -> dict[str, np.ndarray]:
    """Returns the functionals of utterances by key, float32 (functionals,).

    Those of the whole set are computed and kept, since every fold needs them; those of a few
    utterances, such as the ones that check an export, are computed alone.

    Args:
        part: the utterances; the result may hold further ones of its set.

    Raises:
        ConfigError: the features have no prosodic values.
    """
    if len(part.class_of) <= _FEW:
        return _computed(part)
    return _of_whole_set(part.feature_set.path, part.feature_set.manifest["fingerprint"])


@lru_cache(maxsize=4)
def _of_whole_set(path: Path, fingerprint: str) -> dict[str, np.ndarray]:
    feature_set = FeatureSet.open(path)
    return _computed(FoldPart(feature_set, {row.key: UNLABELLED for row in feature_set.rows}, 0.0))


def _computed(part: FoldPart) -> dict[str, np.ndarray]:
    layer = functionals_layer(spec_from_dict(part.feature_set.schema.spec))
    vectors: dict[str, np.ndarray] = {}
    for keys, inputs, _ in evaluation_batches(part, _BATCH_SIZE, 1):
        rows = layer(inputs["features"], mask=inputs["mask"])
        vectors |= dict(zip(keys.tolist(), keras.ops.convert_to_numpy(rows), strict=True))
    return vectors
