"""The verbs of tuning: parse options, call one function."""

from pathlib import Path
from typing import Annotated

import typer

from ser_keras.commands import ClassSetName, Features, Output, Overrides, ProtocolName, console


def tune(
    features: Features,
    protocol: ProtocolName,
    output: Output,
    model: Annotated[
        str | None, typer.Option(help="System whose search space is taken; see --space.")
    ] = None,
    space: Annotated[
        Path | None, typer.Option(help="YAML file of a search space, instead of --model.")
    ] = None,
    strategy: Annotated[str, typer.Option(help="random, bayesian or hyperband.")] = "random",
    trials: Annotated[int, typer.Option(help="How many.")] = 20,
    folds: Annotated[
        list[str] | None,
        typer.Option("--fold", help="Folds whose validation speakers judge; the first two."),
    ] = None,
    class_set: ClassSetName = None,
    overrides: Overrides = None,
    seed: Annotated[int, typer.Option(help="Seed of the choice of trials.")] = 0,
) -> None:
    """Search for settings on speakers that no test part holds; write the best as a recipe."""
    from ser_keras.commands import EpochBars
    from ser_keras.data.feature_set import FeatureSet
    from ser_keras.errors import ConfigError
    from ser_keras.protocols import build_protocol
    from ser_keras.training.provenance import command
    from tuning.report import table, write_report
    from tuning.search import Search, default_folds, run_search
    from tuning.space import load_space, space_names

    if (model is None) == (space is None):
        raise ConfigError(f"Give either --model, one of {', '.join(space_names())}, or --space.")
    feature_set = FeatureSet.open(features)
    folds_of = build_protocol(protocol, feature_set.rows, class_set=class_set)
    search = Search(
        load_space(space or model or ""),
        strategy,
        trials,
        tuple(folds or default_folds(folds_of, 2)),
        tuple(overrides or ()),
        seed,
    )
    with EpochBars() as bars:
        result = run_search(search, feature_set, folds_of, output, command=command(), progress=bars)
    report = write_report(result, output)
    console.print(table(result, most=10), markup=False)
    console.print(f"best: {output / 'best.yaml'}; report: {report}")
