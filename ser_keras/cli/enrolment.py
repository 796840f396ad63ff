"""The verb that measures what enrolment is worth."""

from pathlib import Path
from typing import Annotated

import typer

from ser_keras.cli.console import console, print_markdown, starting
from ser_keras.cli.options import Features, OnlyFolds, Results
from ser_keras.cli.progress import FoldBar


def enrolment_curve(
    run: Annotated[Path, typer.Argument(help="Folder of `ser crossval` of the adapted track.")],
    features: Features,
    seconds: Annotated[
        list[float] | None,
        typer.Option(help="Seconds of a speaker to enrol; 5, 15, 30 and 60 by default."),
    ] = None,
    draws: Annotated[int, typer.Option(help="Random enrolments of each amount.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    folds: OnlyFolds = None,
    results: Results = None,
) -> None:
    """Show how UA grows with the seconds that are known of a speaker's voice.

    Also shows UA where these seconds hold one emotion only. For every test speaker, random
    recordings are enrolled without labels, and the others are scored, blind and adapted. The
    result and its picture are written into the run's folder, as enrolment.json and enrolment.svg.
    """
    with starting():
        from ser_keras import plots
        from ser_keras.experiments import enrolment
        from ser_keras.experiments.provenance import command
        from ser_keras.files import write_json
        from ser_keras.report.results_folder import enrolment_path
        from ser_keras.report.tables import enrolments_table

    with FoldBar("enrolling") as bar:
        result = enrolment.enrolment_curve(
            run,
            features,
            seconds=seconds or enrolment.SECONDS,
            draws=draws,
            seed=seed,
            folds=folds or (),
            command=command(),
            progress=bar,
        )
    for path in filter(None, (run / "enrolment.json", results and enrolment_path(results, result))):
        write_json(path, result)
        plots.enrolment_curve(result, path.with_suffix(".svg"))
        console.print(f"picture: {path.with_suffix('.svg')}")
    print_markdown(enrolments_table([result]))
