"""The verbs of serving: parse options, call one function."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

console = Console(soft_wrap=True, highlight=False)


def export(
    run: Annotated[Path, typer.Argument(help="Folder of `ser train` or `ser crossval`.")],
    features: Annotated[Path, typer.Option(help="Features that it was trained on.")],
    data_dir: Annotated[Path, typer.Option(help="Folder of the corpus, for the checks.")],
    base: Annotated[Path, typer.Option(help="Folder of the server's models.")] = Path("models"),
    fold: Annotated[
        str | None, typer.Option(help="The run's fold; needed if it has several.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name on the server; the system's when left out.")
    ] = None,
    version: Annotated[
        int | None, typer.Option(help="Number; the next free one when left out.")
    ] = None,
) -> None:
    """Write a trained model as a SavedModel that takes raw speech; check it and publish it."""
    from serving.export import export_model, open_run

    with console.status("reading the run ...") as status:
        trained = open_run(run, features, fold)
        status.update("writing and checking the SavedModel ...")
        folder = export_model(trained, data_dir, base, name=name, version=version)
    console.print(f"published {folder}; its model card: {folder / 'assets.extra/model_card.md'}")
