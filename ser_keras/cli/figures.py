"""The verb `figures`: pictures of a run for a paper."""

from pathlib import Path
from typing import Annotated

import typer

from ser_keras.cli.console import console, starting
from ser_keras.errors import ConfigError, unknown_name


def figures(
    run: Annotated[
        Path, typer.Argument(help="Folder of `ser crossval`, or a result file of its --results.")
    ],
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="pdf, svg or png; may be repeated. pdf by default."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the figures.")] = Path("figures"),
) -> None:
    """Draw a run for a paper: confusion matrix, recall by speaker, calibration.

    Each figure is one column wide (8.4 cm) and has letters of 7 points, which stay letters in a
    PDF. A run that was scored on both tracks gives two of each.
    """
    with starting():
        from ser_keras.report.pages.figures import FORMATS, write_figures
        from ser_keras.report.runs import open_runs

    for name in formats or ():
        if name not in FORMATS:
            raise ConfigError(f"--format: {unknown_name('format', name, FORMATS)}")
    with console.status("drawing"):
        written, missing = write_figures(open_runs([run]), output, formats or FORMATS[:1])
    for path, caption in written:
        console.print(f"{path}: {caption}")
    for sentence in missing:
        console.print(sentence)
