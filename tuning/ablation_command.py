"""The verb of ablations: parses options, calls one function."""

from typing import Annotated

import typer

from ser_keras.cli.console import print_markdown, starting
from ser_keras.cli.options import (
    ClassSetName,
    Features,
    Joint,
    OnlyFolds,
    Output,
    Overrides,
    ProtocolName,
    Results,
)
from ser_keras.cli.progress import EpochBars


def ablation(
    name: Annotated[str, typer.Argument(help="Name of the ablation; an unknown one lists all.")],
    features: Features,
    protocol: ProtocolName,
    output: Output,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe to use instead of the ablation's own.")
    ] = None,
    levers: Annotated[
        list[str] | None, typer.Option("--lever", help="Only these levers; all by default.")
    ] = None,
    folds: OnlyFolds = None,
    joint: Joint = None,
    class_set: ClassSetName = None,
    overrides: Overrides = None,
    results: Results = None,
) -> None:
    """Change one part of a recipe at a time and score what it was worth."""
    with starting():
        from ser_keras.data.feature_set import FeatureSet
        from ser_keras.experiments.provenance import command
        from ser_keras.files import write_json
        from ser_keras.protocols import build_protocol
        from ser_keras.report.results_folder import ablation_path
        from ser_keras.report.tables import ablations_table
        from tuning.ablation import load_ablation, run_ablation

    chosen = load_ablation(name, recipe, levers or ())
    feature_set = FeatureSet.open(features)
    with EpochBars() as bars:
        result = run_ablation(
            chosen,
            feature_set,
            build_protocol(protocol, feature_set.rows, class_set=class_set),
            output,
            folds=folds or (),
            joint_sets=[FeatureSet.open(path) for path in joint or ()],
            changes=overrides or (),
            command=command(),
            progress=bars,
        )
    print_markdown(ablations_table([result]))
    if results is not None:
        write_json(ablation_path(results, result), result)
