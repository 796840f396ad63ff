"""The verb `features`: parse options, call one function. Beam is imported when the verb runs."""

import signal
import time
from pathlib import Path
from typing import Annotated

import typer

from ser_keras.cli.console import console
from ser_keras.errors import ConfigError


def features(
    context: typer.Context,
    corpus: Annotated[str, typer.Option(help="Corpus to read; see `ser corpora`.")],
    data_dir: Annotated[Path, typer.Option(help="Folder of the corpus.")],
    spec: Annotated[str, typer.Option(help="Feature spec, such as logmel40 or spectrogram200.")],
    output: Annotated[Path, typer.Option(help="Where feature sets are published.")],
    name: Annotated[
        str | None, typer.Option(help="What results call the data; the corpus when left out.")
    ] = None,
    trim_db: Annotated[
        float | None, typer.Option(help="Drop silent ends: this many dB below the loudest frame.")
    ] = None,
    allow_partial: Annotated[bool, typer.Option(help="Accept a partial or doubled copy.")] = False,
    allow_outside: Annotated[
        bool, typer.Option(help="Accept rows of a manifest that lead out of its folder.")
    ] = False,
    max_bad_ratio: Annotated[
        float, typer.Option(help="Largest bearable share of unusable recordings.")
    ] = 0.01,
    shards: Annotated[
        int | None, typer.Option(help="Number of files; a matter of the data when left out.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes on this machine.")] = 1,
) -> None:
    """Turn a corpus into features, with Apache Beam; run again after a kill.

    What follows `--` goes to Beam, such as `-- --runner=FlinkRunner --flink_master=host:8081`.
    The same input again is recognised, and nothing is computed twice. Exits with 3 where too many
    recordings are unusable; they are listed.
    """
    beam_args = beam_args_of(context)
    started = time.perf_counter()
    # Ends the job as Ctrl-C does, which removes what was begun.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    from pipeline.beam.quiet import quiet_beam

    quiet_beam()
    with FeatureBar() as bar:
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
            progress=bar,
        )
    _summarize(path, time.perf_counter() - started, bar.computed_s)


def beam_args_of(context: typer.Context) -> list[str]:
    """Returns what follows `--` on a command's line.

    Raises:
        ConfigError: it starts with a word that is no option.
    """
    if context.args and not context.args[0].startswith("-"):
        raise ConfigError(
            f"ser {context.info_name}: found {context.args[0]!r}, expected an option. Give options "
            "of this command as --name value, and those of Beam after `--`."
        )
    return list(context.args)


class FeatureBar:
    """A progress bar over recordings; knows how long features were computed, 0 if not at all."""

    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self.task = self.bars.add_task("starting", total=None)
        self.computed_s = 0.0
        self._began_s = 0.0

    def __enter__(self) -> "FeatureBar":
        self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()

    def __call__(self, step: str, done: int, total: int) -> None:
        """Shows that `done` of `total` recordings have passed a step; total 0 is unknown."""
        if step == "features":
            self._began_s = self._began_s or time.perf_counter()
            self.computed_s = time.perf_counter() - self._began_s
        # `update` takes None for "as before".
        self.bars.tasks[0].total = total or None
        self.bars.update(self.task, description=step, completed=done)


def _summarize(path: Path, wall_s: float, computed_s: float) -> None:
    from ser_keras.data.feature_set import DEAD_LETTERS, check_set

    schema, manifest = check_set(path)
    counters = manifest["counters"]
    audio_s = counters["seconds_audio"]
    what = f"{counters['ok']} recordings, {audio_s:.0f} s of audio, {schema.spec_name}"
    if computed_s:
        speed = f"{computed_s:.1f} s of {wall_s:.1f} s in the graph, {audio_s / computed_s:.0f} x"
        console.print(f"{path}: {what}; {speed}", markup=False)
    else:
        console.print(
            f"{path}: {what}; already there, nothing recomputed ({wall_s:.1f} s)", markup=False
        )
    if manifest["num_dead"]:
        kinds = {k.removeprefix("dead_"): n for k, n in counters.items() if k.startswith("dead_")}
        listed = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
        console.print(f"left out: {listed}; see {path / DEAD_LETTERS}", markup=False)
