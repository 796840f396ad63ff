import pytest

from pipeline.features.recordings import list_recordings, shard_of
from pipeline.features.shards import list_name, positions_by_shard, read_list, write_lists


@pytest.fixture
def recordings(corpus):
    return list_recordings("manifest", corpus)


def test_every_recording_is_in_the_list_of_its_shard_and_no_other(recordings, tmp_path):
    positions = positions_by_shard(recordings, 3)
    write_lists(tmp_path, recordings, positions)
    lists = {shard: list(read_list(tmp_path, shard)) for shard in positions}
    for shard, of_shard in lists.items():
        assert of_shard == [
            recording for recording in recordings if shard_of(recording.key, 3) == shard
        ]
    assert sum(map(len, lists.values())) == len(recordings)


def test_shards_that_have_no_recording_have_no_list(recordings, tmp_path):
    positions = positions_by_shard(recordings, 1000)
    assert 0 < len(positions) <= 24
    assert list(positions) == sorted(positions)
    write_lists(tmp_path, recordings, positions)
    assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == list(map(list_name, positions))


def test_the_places_of_a_shard_follow_the_keys(recordings):
    for positions in positions_by_shard(recordings, 3).values():
        keys = [recordings[position].key for position in positions]
        assert keys == sorted(keys)
