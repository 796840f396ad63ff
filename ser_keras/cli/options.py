"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

Features = Annotated[Path, typer.Option(help="Output folder of `ser features`.")]
ProtocolName = Annotated[str, typer.Option(help="Named protocol; see `ser corpora`.")]
ClassSetName = Annotated[
    str | None, typer.Option("--classes", help="Class set; the protocol's own by default.")
]
Recipe = Annotated[str, typer.Option(help="Name of a recipe, or a YAML file.")]
Recipes = Annotated[
    list[str] | None,
    typer.Option(
        "--recipe",
        help="Name of a recipe, or a YAML file; several to let each fold's validation speakers "
        "choose.",
    ),
]
Unlabelled = Annotated[
    list[Path] | None,
    typer.Option(
        help="Further features to train on without labels; those of test speakers are left out."
    ),
]
DEFAULT_RECIPE = "alexnet_fcn"
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Change one key, such as --set epochs=20.")
]
Output = Annotated[
    Path,
    typer.Option(help="Folder of the run. After an interruption the same command continues it."),
]
Seed = Annotated[int, typer.Option(help="Seed of the folds.")]
Strategy = Annotated[
    str,
    typer.Option(
        help="Devices to train on: none (a single one), mirrored (all of this machine) or "
        "multiworker (the machines in TF_CONFIG)."
    ),
]
