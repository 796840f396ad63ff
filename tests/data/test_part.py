import pytest

from ser_keras.data.part import FoldPart
from ser_keras.errors import SchemaError


@pytest.fixture
def part(feature_set):
    classes = {row.key: index % 4 for index, row in enumerate(feature_set.rows)}
    return FoldPart(feature_set, classes)


def test_only_the_chosen_keys_are_read(part):
    keys = list(part.class_of)[:5]
    chosen = FoldPart(part.feature_set, dict.fromkeys(keys, 1))
    read = [utterance["key"].decode() for utterance in chosen.utterances.as_numpy_iterator()]
    assert sorted(read) == sorted(keys)


def test_a_key_that_is_not_in_the_features_is_named(part):
    with pytest.raises(SchemaError, match=r"1 utterances .* such as synthetic/none"):
        FoldPart(part.feature_set, {"synthetic/none": 0})
