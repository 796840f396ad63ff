"""The verb `statistics`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.beam.quiet import quiet_beam
from pipeline.cli.options import Workers, beam_args_of
from pipeline.cli.progress import JobProgress
from ser_keras.cli.console import console
from ser_keras.cli.options import ClassSetName
from ser_keras.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from pipeline.statistics.anomalies import Anomaly


def statistics(
    context: typer.Context,
    features: Annotated[Path, typer.Argument(help="Output folder of `ser features`.")],
    output: Annotated[Path, typer.Option(help="Folder for the statistics, anomalies and picture.")],
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the corpus, to measure silence and clipping.")
    ] = None,
    schema: Annotated[
        Path | None, typer.Option(help="YAML file with the requirements that the data must meet.")
    ] = None,
    draft: Annotated[
        Path | None, typer.Option(help="Write a first schema into this new file, for correction.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="Statistics of earlier data, from which drift is measured.")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Also audit the folds of this protocol.")
    ] = None,
    class_set: ClassSetName = None,
    workers: Workers = 1,
) -> None:
    """Describe the numbers of a feature set, and compare them with a schema and earlier data.

    Options after `--` go to Beam. The exit code is 3 if there are anomalies, where the data differ
    from the schema or the folds leak; they are listed in anomalies.json.
    """
    beam_args = beam_args_of(context)
    if draft is not None and draft.exists():
        raise ConfigError(
            f"--draft {draft}: found a file, expected none: a schema is kept by hand. Give another "
            "name, and compare the two."
        )
    quiet_beam()
    with JobProgress() as progress:
        from pipeline.statistics.anomalies import write_anomalies
        from pipeline.statistics.drift import drift_between
        from pipeline.statistics.file import load_statistics
        from pipeline.statistics.job import run_statistics
        from pipeline.statistics.schema import DataSchema
        from pipeline.statistics.validation import find_anomalies
        from ser_keras.plots import data_statistics

        expected = DataSchema.load(schema) if schema else None
        earlier = load_statistics(against) if against else None
        path = run_statistics(
            features, output, beam_args, workers, progress=progress, data_dir=data_dir
        )
    current = load_statistics(path)
    picture = path.with_suffix(".svg")
    data_statistics(current, picture, earlier)
    _print_statistics(current)
    console.print(f"{path}, picture {picture}")
    if draft is not None:
        DataSchema.draft(current).write_new(draft, current)
        console.print(f"first draft of a schema: {draft}; correct it by hand")
    drift = drift_between(current, earlier) if earlier else None
    if drift:
        _print_drift(drift)
    if expected or drift or protocol:
        anomalies = find_anomalies(
            current, expected, drift, features if protocol else None, protocol or "", class_set
        )
        _report_anomalies(features, write_anomalies(output, anomalies, current, drift), anomalies)


def _print_statistics(statistics: Mapping[str, Any]) -> None:
    counts, duration = statistics["counts"], statistics["duration_s"]
    labels = ", ".join(f"{label} {count}" for label, count in counts["label"].items())
    console.print(
        f"{statistics['data']['name']}: {statistics['utterances']} utterances of "
        f"{len(counts['speaker'])} speakers, {statistics['frames']} frames of "
        f"{statistics['data']['spec_name']}; {labels}; {duration['lowest']['value']:.2f} to "
        f"{duration['highest']['value']:.2f} s, mean {duration['mean']:.2f} s",
    )
    for name in ("silence_ratio", "clipping_ratio"):
        if (ratio := statistics[name]) is not None:
            highest = ratio["highest"]
            console.print(
                f"{name}: mean {ratio['mean']:.4f}, at most {highest['value']:.4f} "
                f"({highest['key']})",
            )


def _print_drift(drift: Mapping[str, Any]) -> None:
    console.print(
        f"drift: share of {drift['label']} by {drift['label_share_change']:.3f}, durations by "
        f"a stability index of {drift['duration_psi']:.3f}, mean of feature "
        f"{drift['feature']} by {drift['mean_shift']:.3f} deviations",
    )


def _report_anomalies(features: Path, path: Path, anomalies: "Sequence[Anomaly]") -> None:
    """Prints the anomalies and raises an error if there are any."""
    for anomaly in anomalies:
        console.print(f"anomaly: {anomaly}")
    if anomalies:
        raise CorpusError(
            f"{features}: found {len(anomalies)} anomalies, expected none. They are listed above, "
            f"and in {path}."
        )
    console.print(f"no anomalies: {path}")
