import pytest

from pipeline.features.recordings import list_sources, shard_of
from pipeline.features.shards import list_name, places_by_shard, read_list, write_lists


@pytest.fixture
def sources(corpus):
    return list_sources("manifest", corpus)


def test_every_recording_is_in_the_list_of_its_shard_and_no_other(sources, tmp_path):
    places = places_by_shard(sources, 3)
    write_lists(tmp_path, sources, places)
    lists = {shard: list(read_list(tmp_path, shard)) for shard in places}
    for shard, found in lists.items():
        assert found == [source for source in sources if shard_of(source.key, 3) == shard]
    assert sum(map(len, lists.values())) == len(sources)


def test_shards_that_have_no_recording_have_no_list(sources, tmp_path):
    places = places_by_shard(sources, 1000)
    assert 0 < len(places) <= 24
    assert list(places) == sorted(places)
    write_lists(tmp_path, sources, places)
    assert sorted(each.name for each in tmp_path.glob("*.jsonl")) == list(map(list_name, places))


def test_the_places_of_a_shard_follow_the_keys(sources):
    for places in places_by_shard(sources, 3).values():
        keys = [sources[place].key for place in places]
        assert keys == sorted(keys)
