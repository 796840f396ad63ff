"""The recordings of each shard, as lists on the disk that every worker sees.

The graph carries only the numbers of the shards, and a worker reads the list of its shard. So
neither the driver nor a worker holds all recordings while they are distributed, however many there
are. The lists lie in the job's staging folder and are never published.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import apache_beam as beam

from pipeline.features.recordings import Recording, RecordingList, shard_of
from pipeline.features.writer import ShardReport, WriteShardFn
from ser_keras.audio import AudioLimits
from ser_keras.features.frames import FrameSpec


def positions_by_shard(recordings: RecordingList, num_shards: int) -> dict[int, "array[int]"]:
    """Returns the positions of each shard's recordings in the list, without empty shards.

    Args:
        recordings: sorted by key, and therefore sorted by key within each shard.
        num_shards: int.
    """
    positions: dict[int, array[int]] = {}
    for position, key in enumerate(recordings.column("key")):
        positions.setdefault(shard_of(key, num_shards), array("I")).append(position)
    return dict(sorted(positions.items()))


def write_lists(
    folder: Path, recordings: RecordingList, positions: Mapping[int, Sequence[int]]
) -> None:
    """Writes the list of each shard into the staging folder, before the graph starts."""
    for shard, of_shard in positions.items():
        with (folder / list_name(shard)).open("wb") as stream:
            stream.writelines(recordings.lines[position] for position in of_shard)


def read_list(folder: Path, shard: int) -> RecordingList:
    """Returns the recordings of a shard, sorted by key."""
    with (folder / list_name(shard)).open("rb") as stream:
        return RecordingList(stream)


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
        folder: str. Folder of the lists, the shards and the reports; every worker sees it.
        num_shards: int.
        spec: what to extract.
        limits: largest size that a recording's header may declare.
    """

    def __init__(self, folder: str, num_shards: int, spec: FrameSpec, limits: AudioLimits):
        super().__init__()
        self.folder = folder
        self.writer = WriteShardFn(folder, num_shards, spec, limits)

    def expand(self, shards: beam.PCollection) -> beam.PCollection:
        """Returns one report per shard."""
        return (
            shards
            # Without it Beam fuses the steps, and one worker gets all shards.
            | "Spread shards" >> beam.Reshuffle()
            | "Read list" >> beam.Map(_with_recordings, self.folder)
            | "Write shard" >> beam.ParDo(self.writer)
        )


def _with_recordings(shard: int, folder: str) -> tuple[int, Iterable[Recording]]:
    return shard, read_list(Path(folder), shard)
