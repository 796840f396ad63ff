"""Who reads which recordings: a list of them per shard, on the disk that every worker sees.

The graph carries numbers of shards, a few bytes each, and whoever gets one reads that shard's list.
So neither the driver nor a worker holds all recordings on their way, however many there are. The
lists lie in the job's attempt and are never published.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import apache_beam as beam

from pipeline.features.recordings import Source, SourceList, shard_of
from pipeline.features.writer import ShardReport, WriteShardFn
from ser_keras.audio import AudioLimits
from ser_keras.features.frames import FrameSpec


def places_by_shard(sources: SourceList, num_shards: int) -> dict[int, "array[int]"]:
    """Returns where in `sources` the recordings of each shard stand, of shards that have any.

    Args:
        sources: sorted by key, and so are those of each shard.
        num_shards: int.
    """
    places: dict[int, array[int]] = {}
    for place, key in enumerate(sources.column("key")):
        places.setdefault(shard_of(key, num_shards), array("I")).append(place)
    return dict(sorted(places.items()))


def write_lists(folder: Path, sources: SourceList, places: Mapping[int, Sequence[int]]) -> None:
    """Writes the list of each shard into the attempt's folder, before the graph starts."""
    for shard, of_shard in places.items():
        with (folder / list_name(shard)).open("wb") as stream:
            stream.writelines(sources.lines[place] for place in of_shard)


def read_list(folder: Path, shard: int) -> SourceList:
    """Returns the recordings of a shard, sorted by key."""
    with (folder / list_name(shard)).open("rb") as stream:
        return SourceList(stream)


def list_name(shard: int) -> str:
    """Returns the file name of a shard's list.

    Example:
        >>> list_name(3)
        'sources-00003.jsonl'
    """
    return f"sources-{shard:05}.jsonl"


@beam.typehints.with_input_types(int)
@beam.typehints.with_output_types(ShardReport)
class WriteListedShards(beam.PTransform):
    """Writes the recordings of each shard, given by its number, into one file.

    Args:
        folder: str. Where the lists are, and shards and reports are put; every worker sees it.
        num_shards: int.
        spec: what to extract.
        limits: what a recording's header may promise.
    """

    def __init__(self, folder: str, num_shards: int, spec: FrameSpec, limits: AudioLimits):
        super().__init__()
        self.folder = folder
        self.writer = WriteShardFn(folder, num_shards, spec, limits)

    def expand(self, shards: beam.PCollection) -> beam.PCollection:
        """Returns one report per shard."""
        return (
            shards
            # Otherwise one worker would get them all, fused with the list.
            | "Spread shards" >> beam.Reshuffle()
            | "Read list" >> beam.Map(_with_sources, self.folder)
            | "Write shard" >> beam.ParDo(self.writer)
        )


def _with_sources(shard: int, folder: str) -> tuple[int, Iterable[Source]]:
    return shard, read_list(Path(folder), shard)
