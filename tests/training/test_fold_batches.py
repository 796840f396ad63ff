from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_keras.config import BatchConfig, TrainConfig, UnlabelledConfig
from ser_keras.data.part import UNLABELLED, FoldPart
from ser_keras.features.statistics import FeatureStatistics
from ser_keras.models import build_model
from ser_keras.training.fold_batches import (
    epoch_steps,
    hide_labels,
    training_batches,
    without_short,
)


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    fraction=st.floats(0.01, 1.0),
    seed=st.integers(0, 99),
)
def test_every_class_keeps_its_share_of_labels(counts, fraction, seed):
    class_of = {f"{c}/{n}": c for c, count in enumerate(counts) for n in range(count)}
    hidden = hide_labels(class_of, class_of, fraction, seed)
    assert hidden == hide_labels(reversed(list(class_of)), class_of, fraction, seed)
    for index, count in enumerate(counts):
        kept = [key for key in class_of if class_of[key] == index and key not in hidden]
        assert len(kept) == max(1, round(fraction * count))


def test_short_recordings_leave_every_part(feature_set, protocol):
    fold = protocol.folds[0]
    durations = {row.key: row.duration_s for row in feature_set.rows}
    least = float(np.median(list(durations.values())))
    kept, dropped = without_short(fold, feature_set, least)
    for name in ("train", "valid", "test"):
        expected = [key for key in getattr(fold, name) if durations[key] >= least]
        assert list(getattr(kept, name)) == expected
    assert dropped == sum(value < least for value in durations.values())


@pytest.fixture
def config():
    return TrainConfig(batch=BatchConfig(size=6), unlabelled=UnlabelledConfig(size=3))


def joint(config, feature_set, hidden, others=(), steps=None):
    class_of = {row.key: index % 4 for index, row in enumerate(feature_set.rows)}
    bins = feature_set.schema.dim
    statistics = FeatureStatistics.fit([np.random.default_rng(0).normal(size=(9, bins))])
    steps = steps or epoch_steps(config.batch, feature_set, class_of)
    model = build_model("moma", num_classes=4, dim=bins, units=1, layers=1)
    part = FoldPart(feature_set, class_of)
    return training_batches(config, part, hidden, others, statistics, model, steps=steps, seed=0)


def test_each_step_draws_a_labelled_and_an_unlabelled_batch(config, feature_set):
    hidden = {row.key for row in feature_set.rows[::2]}
    batches = joint(config, feature_set, hidden)
    seen = list(batches.epoch(0).as_numpy_iterator())
    assert len(seen) == epoch_steps(config.batch, feature_set, [r.key for r in feature_set.rows])
    for inputs, targets, weights in seen[:-1]:
        without = targets.sum(axis=1) == 0
        assert 0 < without.sum() <= 3
        assert 0 < (~without).sum() <= 6
        assert inputs["features"].shape[:2] == inputs["mask"].shape
        assert not inputs["features"][~inputs["mask"]].any()
        assert (weights[without] == 1).all()


def test_another_corpus_is_one_more_stream(config, feature_set):
    other = FoldPart(feature_set, {row.key: UNLABELLED for row in feature_set.rows})
    batches = joint(config, feature_set, (), others=[other], steps=3)
    for _, targets, _ in batches.epoch(1).as_numpy_iterator():
        assert (targets.sum(axis=1) == 0).sum() == 3
        assert (targets.sum(axis=1) == 1).sum() == 6


def test_segments_lengthen_an_epoch(config, feature_set):
    keys = [row.key for row in feature_set.rows]
    shorter = replace(config.batch, segment_frames=50, segment_hop=25, test_hop=25)
    assert epoch_steps(shorter, feature_set, keys) > epoch_steps(config.batch, feature_set, keys)
