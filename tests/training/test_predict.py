import numpy as np
import pytest

from ser_keras.config import BatchConfig
from ser_keras.data.part import FoldPart
from ser_keras.models import build_model
from ser_keras.training.predict import mean_over_segments, predict


def test_an_utterance_is_the_mean_of_its_segments_softmaxes(feature_set, keras_seed):
    model = build_model("alexnet_fcn", num_classes=3, dim=200, width=0.0625, normalization="none")
    keys = [row.key for row in feature_set.rows][:3]
    part = FoldPart(feature_set, dict.fromkeys(keys, 1))
    config = BatchConfig(size=2, segment_frames=80, segment_hop=80, test_hop=30)
    scores = predict(model, part, config)
    assert scores.keys.tolist() == sorted(keys)
    for example in part.utterances.as_numpy_iterator():
        features, key = example["features"], example["key"].decode()
        last = max(0, len(features) - 80)
        # The last segment ends with the utterance.
        starts = sorted({*range(0, last, 30), last})
        logits = [
            np.asarray(
                model(
                    {
                        "features": features[None, start : start + 80],
                        "mask": np.ones((1, len(features[start : start + 80])), bool),
                    }
                )["logits"]
            )[0].astype(np.float64)
            for start in starts
        ]
        expected = np.mean([np.exp(row) / np.exp(row).sum() for row in logits], axis=0)
        row = scores.keys.tolist().index(key)
        np.testing.assert_allclose(scores.probabilities[row], expected, atol=1e-5)


def test_the_loss_is_that_of_the_true_class():
    scores = mean_over_segments(
        np.array(["a", "b"]), np.array([0, 1]), np.array([[0.5, 0.5], [0.75, 0.25]])
    )
    assert scores.loss == pytest.approx((np.log(2) + np.log(4)) / 2)
