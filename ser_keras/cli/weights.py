"""The verb `weights`: turns files of pretrained weights into files that hold only data."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from ser_keras.cli.console import console, starting

weights = typer.Typer(help="Work with files of pretrained weights.", no_args_is_help=True)


@weights.callback()
def of_weights() -> None:
    """Work with files of pretrained weights."""


@weights.command("convert")
def convert(
    file: Annotated[
        Path,
        typer.Argument(help="bvlc_alexnet.npy, or torchvision's alexnet-owt-*.pth, old or new."),
    ],
    output: Annotated[Path, typer.Option(help="File to write; ends in .h5 or .weights.h5.")],
) -> None:
    """Turn a public AlexNet file into one HDF5 file, which holds the convolutions and no program.

    The files people share are pickles, which can hold programs; they are read without being run.
    Give the result, or the file itself, as `--set model.weights=FILE`.
    """
    with starting():
        from ser_keras.models.weights.alexnet import convert_weights

    with console.status(f"reading {escape(file.name)}"):
        report = convert_weights(file, output)
    console.print(
        f"{report['file']}: convolutions of AlexNet, plan {report['plan']}; source sha256 "
        f"{report['sha256']}",
    )


def announce_weights(config: Any) -> None:
    """Says that a model which can start from pretrained weights starts from random ones."""
    from ser_keras.models import model_entry

    if config.model.weights is None and model_entry(config.model.name).pretrained:
        console.print(
            "[yellow]random weights[/]: no pretrained file is given (model.weights); "
            "the result says so.",
            markup=True,
        )
