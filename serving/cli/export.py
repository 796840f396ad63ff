"""The verb that exports a trained model."""

from pathlib import Path
from typing import Annotated

import typer

from ser_keras.cli.console import console, starting


def export(
    run: Annotated[Path, typer.Argument(help="Output folder of `ser train` or `ser crossval`.")],
    features: Annotated[Path, typer.Option(help="Features that the run was trained on.")],
    data_dir: Annotated[
        Path, typer.Option(help="Folder of the corpus, whose recordings check the export.")
    ],
    base: Annotated[Path, typer.Option(help="Folder of the server's models.")] = Path("models"),
    fold: Annotated[
        str | None, typer.Option(help="Fold of the run; required if the run has several.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name on the server; the system's name by default.")
    ] = None,
    version: Annotated[
        int | None, typer.Option(help="Version number; the next free one by default.")
    ] = None,
) -> None:
    """Write a trained model as a SavedModel that takes raw speech, check it and publish it."""
    with starting() as status:
        from serving.export.export import export_model
        from serving.export.trained_model import open_run

        status.update("reading the run")
        trained = open_run(run, features, fold)
        status.update("writing and checking the SavedModel")
        folder = export_model(trained, data_dir, base, name=name, version=version)
    console.print(f"published {folder}; its model card: {folder / 'assets.extra/model_card.md'}")
