"""The verb `features`. Beam is imported only when the verb runs."""

import signal
import time
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import Workers, beam_args_of
from pipeline.cli.progress import JobProgress
from ser_keras.cli.console import console
from ser_keras.cli.options import OwnCorpora


def features(
    context: typer.Context,
    corpus: Annotated[str, typer.Option(help="Corpus to read; see `ser corpora`.")],
    data_dir: Annotated[Path, typer.Option(help="Folder of the corpus.")],
    spec: Annotated[str, typer.Option(help="Feature spec, such as logmel40 or spectrogram200.")],
    output: Annotated[
        Path, typer.Option(help="Folder of the features; each set gets a folder of its own in it.")
    ],
    name: Annotated[
        str | None, typer.Option(help="Name of the data in results; the corpus by default.")
    ] = None,
    trim_db: Annotated[
        float | None,
        typer.Option(help="Cut off silent ends: this many dB below the loudest frame."),
    ] = None,
    allow_partial: Annotated[bool, typer.Option(help="Accept a partial or doubled copy.")] = False,
    allow_outside: Annotated[
        bool, typer.Option(help="Accept paths in a manifest that lead out of its folder.")
    ] = False,
    max_bad_ratio: Annotated[
        float, typer.Option(help="Largest accepted share of unusable recordings.")
    ] = 0.01,
    shards: Annotated[
        int | None,
        typer.Option(help="Number of shard files; by default set by the size of the data."),
    ] = None,
    workers: Workers = 1,
    corpora: OwnCorpora = None,
) -> None:
    """Turn the recordings of a corpus into features to train on, with Apache Beam.

    Options after `--` go to Beam, such as `-- --runner=DaskRunner --dask_client_address=HOST:8786`.
    If the same features exist already, nothing is computed again; after a kill, run the same
    command again. The exit code is 3 if too many recordings are unusable; a file lists them.
    """
    del corpora
    beam_args = beam_args_of(context)
    started_s = time.perf_counter()
    # SIGTERM ends the job as Ctrl-C does, which removes unfinished files.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    from pipeline.beam.quiet import quiet_beam

    quiet_beam()
    with JobProgress() as progress:
        from pipeline.features.job import build_feature_set
        from ser_keras.features.specs import get_spec

        path = build_feature_set(
            corpus,
            data_dir,
            get_spec(spec, **({} if trim_db is None else {"trim_db": trim_db})),
            output,
            name=name,
            allow_partial=allow_partial,
            allow_outside=allow_outside,
            max_bad_ratio=max_bad_ratio,
            num_shards=shards,
            workers=workers,
            beam_args=beam_args,
            progress=progress,
        )
    _print_summary(path, time.perf_counter() - started_s, progress.computed_s)


def _print_summary(path: Path, wall_s: float, computed_s: float) -> None:
    from ser_keras.data.feature_set import DEAD_LETTERS, check_set

    schema, manifest = check_set(path)
    counters = manifest["counters"]
    audio_s = counters["seconds_audio"]
    summary = f"{counters['ok']} recordings, {audio_s:.0f} s of audio, {schema.spec_name}"
    if computed_s:
        speed = f"{computed_s:.1f} s of {wall_s:.1f} s in the graph, {audio_s / computed_s:.0f} x"
        console.print(f"{path}: {summary}; {speed}")
    else:
        console.print(f"{path}: {summary}; already there, nothing recomputed ({wall_s:.1f} s)")
    if manifest["num_dead"]:
        dead = ", ".join(
            f"{name.removeprefix('dead_')} {count}"
            for name, count in counters.items()
            if name.startswith("dead_")
        )
        console.print(f"left out: {dead}; see {path / DEAD_LETTERS}")
