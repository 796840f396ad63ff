"""The verb that makes an ensemble of finished runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ser_keras.cli.console import console, print_markdown, starting
from ser_keras.cli.options import FeatureSets, OnlyFolds, Results, only_one
from ser_keras.cli.progress import FoldBar
from ser_keras.errors import ConfigError


def ensemble(
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Folders of `ser crossval` on the same folds, two or more. RUN:blind or "
            "RUN:adapted takes a run for one track alone."
        ),
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
    folds: OnlyFolds = None,
    unlabelled: Annotated[
        list[Path] | None,
        typer.Option(help="Unlabelled features that a run was trained on, for the audit."),
    ] = None,
    joint: Annotated[
        list[Path] | None,
        typer.Option(help="Joint features that a run was trained on, for the audit."),
    ] = None,
    results: Results = None,
) -> None:
    """Average the probabilities of finished runs, and score the result.

    Every run is audited. Seeds, systems and features may differ; folds, classes and utterances may
    not.
    """
    shares = _numbers(weights)
    paths, tracks = zip(*map(_path_and_track, runs), strict=True)
    with starting():
        from ser_keras.data.feature_set import FeatureSet
        from ser_keras.experiments.ensemble import run_ensemble
        from ser_keras.experiments.provenance import command
        from ser_keras.experiments.run_result import results_by_track
        from ser_keras.report.summary import describe, describe_members

    with FoldBar("ensemble") as bar:
        run_ensemble(
            paths,
            [FeatureSet.open(path) for path in features],
            output,
            weights=shares,
            tracks=tracks,
            folds=folds or (),
            unlabelled_sets=[FeatureSet.open(path) for path in unlabelled or ()],
            joint_sets=[FeatureSet.open(path) for path in joint or ()],
            command=command(),
            progress=lambda done, total: bar(f"of {len(runs)} runs", done, total),
        )
    for scored in results_by_track(output):
        if results:
            _keep(scored, results)
        console.print(describe(scored))
        print_markdown(describe_members(scored))
    console.print(f"result: {output / 'result.json'}")


def scores_again(run: Path, features: list[Path], fold: str | None, whole: bool) -> dict[str, Any]:
    """Returns the scores of a trained run or of an ensemble, by their models."""
    from ser_keras.data.feature_set import FeatureSet
    from ser_keras.experiments.ensemble import evaluate_ensemble, is_ensemble
    from ser_keras.experiments.evaluate import evaluate_run

    if is_ensemble(run):
        sets = [FeatureSet.open(path) for path in features]
        return evaluate_ensemble(run, sets, fold=fold, whole=whole)
    return evaluate_run(run, only_one(features, run), fold=fold, whole=whole)


def _path_and_track(run: str) -> tuple[Path, str]:
    """Returns the folder and the track of a run such as `runs/a:adapted`; "" without a track."""
    path, _, track = run.rpartition(":")
    # A folder may have a colon in its name.
    return (Path(run), "") if not path or Path(run).exists() else (Path(path), track)


def _numbers(weights: str | None) -> list[float]:
    """Returns the numbers of `--weights`."""
    try:
        return [float(word) for word in weights.split(",")] if weights is not None else []
    except ValueError:
        raise ConfigError(
            f"--weights {weights}: expected one number for each run, with commas between them, "
            "such as 2,1,1."
        ) from None


def _keep(result: Mapping[str, Any], results: Path) -> None:
    from ser_keras.files import write_json
    from ser_keras.plots import learning_curves
    from ser_keras.report.results_folder import result_path

    path = result_path(results, result)
    write_json(path, result)
    learning_curves(result, path.with_suffix(".svg"))
