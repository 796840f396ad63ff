"""The verb that makes an ensemble of finished runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ser_keras.cli.console import console, starting
from ser_keras.cli.options import FeatureSets
from ser_keras.cli.progress import FoldBar
from ser_keras.errors import ConfigError


def ensemble(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Folders of `ser crossval` on the same folds, two or more."),
    ],
    features: FeatureSets,
    output: Annotated[Path, typer.Option(help="Folder of the ensemble.")],
    weights: Annotated[
        str | None,
        typer.Option(
            help="Weight of each run in the mean, such as 2,1,1, fixed before any test; equal "
            "ones by default."
        ),
    ] = None,
    folds: Annotated[list[str] | None, typer.Option("--fold", help="Only these folds.")] = None,
    unlabelled: Annotated[
        list[Path] | None,
        typer.Option(help="Unlabelled features that a run was trained on, for the audit."),
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="Also write the results into this folder, for the report.")
    ] = None,
) -> None:
    """Score the mean of the class probabilities of finished runs, and audit each of them.

    Seeds, systems and features may differ; folds, classes and utterances may not.
    """
    shares = _numbers(weights)
    with starting():
        from ser_keras.data.feature_set import FeatureSet
        from ser_keras.experiments.ensemble import run_ensemble
        from ser_keras.experiments.provenance import command
        from ser_keras.report.summary import describe, describe_members

    with FoldBar("ensemble") as bar:
        result = run_ensemble(
            runs,
            [FeatureSet.open(path) for path in features],
            output,
            weights=shares,
            folds=folds or (),
            unlabelled_sets=[FeatureSet.open(path) for path in unlabelled or ()],
            command=command(),
            progress=lambda done, total: bar(f"of {len(runs)} runs", done, total),
        )
    for scored in _by_track(result, output):
        if results:
            _keep(scored, results)
        console.print(describe(scored), markup=False)
        console.print(describe_members(scored), markup=False)
    console.print(f"result: {output / 'result.json'}", markup=False)


def _numbers(weights: str | None) -> list[float]:
    """Returns the numbers of `--weights`."""
    try:
        return [float(word) for word in weights.split(",")] if weights is not None else []
    except ValueError:
        raise ConfigError(
            f"--weights {weights}: expected one number for each run, with commas between them, "
            "such as 2,1,1."
        ) from None


def _by_track(result: Mapping[str, Any], output: Path) -> list[Mapping[str, Any]]:
    """Returns the result of the own track, and that of the blind one where it is another."""
    from ser_keras.report.results_folder import read_json

    blind = output / "result-blind.json"
    return [result, read_json(blind)] if result["track"] == "adapted" else [result]


def _keep(result: Mapping[str, Any], results: Path) -> None:
    from ser_keras.files import write_json
    from ser_keras.plots import learning_curves
    from ser_keras.report.results_folder import result_path

    path = result_path(results, result)
    write_json(path, result)
    learning_curves(result, path.with_suffix(".svg"))
