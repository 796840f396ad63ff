import numpy as np
import pytest

from ser_keras.config import AugmentConfig
from ser_keras.data.batches import TrainingBatches, evaluation_batches
from ser_keras.data.part import FoldPart

PLAIN = AugmentConfig()
RANDOM = AugmentConfig(noise=0.3, gain=0.1, stretch=0.2, warp=0.1, mixup=0.4)


@pytest.fixture
def part(feature_set):
    classes = {row.key: index % 4 for index, row in enumerate(feature_set.rows)}
    return FoldPart(feature_set, classes)


def batches(part, augment, seed=0):
    bins = part.feature_set.schema.dim
    return TrainingBatches(
        part, 4, 8, 20, np.array([1.0, 2.0, 3.0, 4.0]), augment, np.zeros(bins), np.ones(bins), seed
    )


def as_numpy(dataset):
    return [
        (inputs["features"], inputs["mask"], targets, weights)
        for inputs, targets, weights in dataset.as_numpy_iterator()
    ]


def test_every_utterance_is_evaluated_once_with_its_own_frames(part):
    frames = {row.key: row.frames for row in part.rows}
    seen = {}
    for keys, inputs, classes in evaluation_batches(part, 8, 20):
        for key, mask, index in zip(keys, inputs["mask"].numpy(), classes, strict=True):
            seen[key] = (int(mask.sum()), int(index))
    assert seen == {key: (frames[key], part.class_of[key]) for key in part.class_of}


def test_padding_is_zero_and_masked(part):
    for _, inputs, _ in evaluation_batches(part, 8, 20):
        features, mask = inputs["features"].numpy(), inputs["mask"].numpy()
        assert not features[~mask].any()
        assert mask.any(axis=1).all()


def test_batches_are_full_but_one_and_hold_similar_lengths(part):
    lengths = [
        inputs["mask"].numpy().sum(axis=1) for _, inputs, _ in evaluation_batches(part, 8, 20)
    ]
    assert sorted(map(len, lengths))[1:] == [8] * (len(lengths) - 1)
    spread = np.ptp(sorted(row.frames for row in part.rows))
    assert np.mean([np.ptp(batch) for batch in lengths]) < spread / 2


def test_fixed_shapes_are_few_and_change_no_frame(part):
    plain = {}
    for keys, inputs, _ in evaluation_batches(part, 8, 40):
        for key, frames, mask in zip(keys, inputs["features"], inputs["mask"], strict=True):
            plain[key] = frames.numpy()[mask.numpy()]
    for keys, inputs, _ in evaluation_batches(part, 8, 40, fixed_shapes=True):
        assert inputs["features"].shape[1] % 40 == 0
        for key, frames, mask in zip(keys, inputs["features"], inputs["mask"], strict=True):
            np.testing.assert_array_equal(frames.numpy()[mask.numpy()], plain[key])


@pytest.mark.parametrize("augment", [PLAIN, RANDOM])
def test_an_epoch_depends_on_its_number_and_seed_alone(part, augment):
    epoch, repeated = (as_numpy(batches(part, augment).epoch(3)) for _ in range(2))
    for expected, batch in zip(epoch, repeated, strict=True):
        for expected_values, values in zip(expected, batch, strict=True):
            np.testing.assert_array_equal(values, expected_values)
    next_epoch = as_numpy(batches(part, augment).epoch(4))
    assert any(
        before[0].shape != after[0].shape or (before[0] != after[0]).any()
        for before, after in zip(epoch, next_epoch, strict=False)
    )


def test_spec_augment_depends_on_the_epoch_alone(part):
    pytest.importorskip("tensorflow_io", reason="SpecAugment needs tensorflow-io")
    settings = AugmentConfig(freq_masks=2, freq_mask_bins=40, time_masks=2, time_mask_frames=30)
    epoch = as_numpy(batches(part, settings).epoch(1))
    as_numpy(batches(part, settings).epoch(2))
    repeated = as_numpy(batches(part, settings).epoch(1))
    for expected, batch in zip(epoch, repeated, strict=True):
        np.testing.assert_array_equal(batch[0], expected[0])


def test_weights_follow_classes(part):
    for _, _, targets, weights in as_numpy(batches(part, PLAIN).epoch(0)):
        np.testing.assert_array_equal(weights, targets.argmax(axis=1) + 1.0)
