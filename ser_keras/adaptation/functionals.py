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


def functionals_of(feature_set: FeatureSet) -> dict[str, np.ndarray]:
    """Returns the functionals of each utterance by key, float32 (functionals,).

    They are kept for the last sets that were asked for: every fold needs them.

    Raises:
        ConfigError: the features have no prosodic values.
    """
    return _functionals_of(feature_set.path, feature_set.manifest["fingerprint"])


@lru_cache(maxsize=4)
def _functionals_of(path: Path, fingerprint: str) -> dict[str, np.ndarray]:
    feature_set = FeatureSet.open(path)
    layer = functionals_layer(spec_from_dict(feature_set.schema.spec))
    everything = FoldPart(feature_set, {row.key: UNLABELLED for row in feature_set.rows}, 0.0)
    vectors: dict[str, np.ndarray] = {}
    for keys, inputs, _ in evaluation_batches(everything, _BATCH_SIZE, 1):
        rows = layer(inputs["features"], mask=inputs["mask"])
        vectors |= dict(zip(keys.tolist(), keras.ops.convert_to_numpy(rows), strict=True))
    return vectors
