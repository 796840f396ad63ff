"""The verb `statistics`: parse options, call the job, hold its result against schema and past."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.beam.quiet import quiet_beam
from pipeline.cli.features import FeatureBar, beam_args_of
from ser_keras.cli.console import console
from ser_keras.cli.options import ClassSetName
from ser_keras.errors import ConfigError, CorpusError


def statistics(
    context: typer.Context,
    features: Annotated[Path, typer.Argument(help="Output folder of `ser features`.")],
    output: Annotated[Path, typer.Option(help="Folder for statistics, anomalies and picture.")],
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the corpus, to hear silence and clipping.")
    ] = None,
    schema: Annotated[
        Path | None, typer.Option(help="What the data have to be, a YAML file.")
    ] = None,
    draft: Annotated[
        Path | None, typer.Option(help="Write a first schema into this new file, to be corrected.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="Statistics of other data: how far are these from them?")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Also audit the folds of this protocol.")
    ] = None,
    class_set: ClassSetName = None,
    workers: Annotated[int, typer.Option(help="Processes on this machine.")] = 1,
) -> None:
    """Count and measure a feature set, hold it against a schema and against earlier data.

    What follows `--` goes to Beam. Exits with 3 where something is not as the schema says; all of
    it is in anomalies.json.
    """
    beam_args = beam_args_of(context)
    if draft is not None and draft.exists():
        raise ConfigError(
            f"--draft {draft}: found a file, expected none: a schema is kept by hand. Give another "
            "name, and compare the two."
        )
    quiet_beam()
    with FeatureBar() as bar:
        from pipeline.statistics.file import load_statistics
        from pipeline.statistics.job import run_statistics
        from pipeline.statistics.schema import DataSchema
        from ser_keras.plots import data_statistics

        expected = DataSchema.load(schema) if schema else None
        earlier = load_statistics(against) if against else None
        path = run_statistics(features, output, beam_args, workers, progress=bar, data_dir=data_dir)
    found = load_statistics(path)
    picture = path.with_suffix(".svg")
    data_statistics(found, picture, earlier)
    _describe(found)
    console.print(f"{path}, picture {picture}", markup=False)
    if draft is not None:
        DataSchema.draft(found).write_new(draft, found)
        console.print(f"first draft of a schema: {draft}; correct it by hand", markup=False)
    _judge(features, output, found, earlier, expected, protocol, class_set)


def _describe(found: Mapping[str, Any]) -> None:
    counts, duration = found["counts"], found["duration_s"]
    labels = ", ".join(f"{label} {count}" for label, count in counts["label"].items())
    console.print(
        f"{found['data']['name']}: {found['utterances']} utterances of {len(counts['speaker'])} "
        f"speakers, {found['frames']} frames of {found['data']['spec_name']}; {labels}; "
        f"{duration['lowest']['value']:.2f} to {duration['highest']['value']:.2f} s, mean "
        f"{duration['mean']:.2f} s",
        markup=False,
    )
    for name in ("silence_ratio", "clipping_ratio"):
        if found[name] is not None:
            worst = found[name]["highest"]
            console.print(
                f"{name}: mean {found[name]['mean']:.4f}, at most {worst['value']:.4f} "
                f"({worst['key']})",
                markup=False,
            )


def _judge(
    features: Path,
    output: Path,
    found: Mapping[str, Any],
    earlier: Mapping[str, Any] | None,
    expected: Any,
    protocol: str | None,
    class_set: str | None,
) -> None:
    """Prints drift and anomalies, writes them down, and refuses where there are any."""
    from pipeline.statistics.anomalies import (
        audit_anomalies,
        validate,
        validate_drift,
        write_anomalies,
    )
    from pipeline.statistics.drift import DRIFT_LIMITS, drift_between
    from ser_keras.data.feature_set import FeatureSet

    drift = drift_between(found, earlier) if earlier else None
    if drift:
        console.print(
            f"drift: share of {drift['label']} by {drift['label_share_change']:.3f}, durations by "
            f"a stability index of {drift['duration_psi']:.3f}, mean of feature "
            f"{drift['feature']} by {drift['mean_shift']:.3f} deviations",
            markup=False,
        )
    anomalies = validate(found, expected) if expected else []
    if drift:
        anomalies += validate_drift(drift, expected.drift if expected else DRIFT_LIMITS)
    if protocol:
        anomalies += audit_anomalies(FeatureSet.open(features), protocol, class_set=class_set)
    if not (expected or drift or protocol):
        return
    path = write_anomalies(output, anomalies, found, drift)
    for anomaly in anomalies:
        console.print(f"anomaly: {anomaly}", markup=False)
    if anomalies:
        raise CorpusError(
            f"{features}: found {len(anomalies)} anomalies, expected none. They are listed above, "
            f"and in {path}."
        )
    console.print(f"no anomalies: {path}", markup=False)
