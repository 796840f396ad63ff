"""The verbs of tuning: parse options, call one function."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ser_keras.cli.verbs import (
    ClassSetName,
    Features,
    Output,
    Overrides,
    ProtocolName,
    console,
    starting,
)

if TYPE_CHECKING:
    from tuning.search import Search

Results = Annotated[Path | None, typer.Option(help="Also write figure and JSON into this folder.")]


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
    trial_epochs: Annotated[
        int | None, typer.Option(help="Epochs of each trial; the best has the recipe's again.")
    ] = None,
    test: Annotated[
        bool, typer.Option(help="At the end, score recipe and best once on the folds' test parts.")
    ] = False,
    results: Results = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes on this machine that run trials at once.")
    ] = None,
    deadline_minutes: Annotated[
        float | None,
        typer.Option(help="With --workers: end after so long; the same command goes on."),
    ] = None,
    chief: Annotated[
        str | None,
        typer.Option(
            help="host:port. Be the chief of workers on other machines there; with --worker-id, "
            "be a worker of it. All need --output on a shared disk."
        ),
    ] = None,
    worker_id: Annotated[
        str | None, typer.Option(help="With --chief: this worker's own name.")
    ] = None,
) -> None:
    """Search for settings on speakers that no test part holds; write the best as a recipe.

    With --workers or --chief no trial is stopped early: which ones fell behind would be chance.
    """
    with starting():
        from ser_keras.cli.verbs import EpochBars
        from ser_keras.data.feature_set import FeatureSet
        from ser_keras.errors import ConfigError
        from ser_keras.experiments.provenance import command
        from ser_keras.experiments.searched import RESULT
        from ser_keras.files import write_json
        from ser_keras.protocols import build_protocol
        from tuning.comparison import check_comparison, compare_on_test
        from tuning.report import describe_test, keep, table, write_report
        from tuning.search import (
            Search,
            begin_search,
            default_folds,
            end_search,
            run_search,
        )
        from tuning.space import load_space, space_names
        from tuning.workers import CHIEF, Member

    _check_roles(workers, deadline_minutes, chief, worker_id)
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
        trial_epochs,
    )
    if test:
        check_comparison(search, feature_set, folds_of)
    if workers is None and chief is None:
        with EpochBars() as bars:
            result = run_search(
                search, feature_set, folds_of, output, command=command(), progress=bars
            )
    else:
        if worker_id is None:
            begin_search(search, feature_set, folds_of, output)
        if chief is None:
            _work(search, features, output, workers or 0, deadline_minutes)
        else:
            member = Member(chief, worker_id or CHIEF)
            with console.status(f"{member.name} of the search at {chief}, {output}"):
                member.run(search, feature_set, folds_of, output)
            if worker_id is not None:
                return
        result = end_search(search, feature_set, folds_of, output, command())
    if test:
        with EpochBars() as bars:
            result["test"] = compare_on_test(
                search, feature_set, folds_of, output, command=command(), progress=bars
            )
        write_json(output / RESULT, result)
    report = write_report(result, output)
    console.print(table(result, most=10), markup=False)
    if test:
        console.print(describe_test(result))
    if results is not None:
        keep(result, output, results)
    console.print(f"best: {output / 'best.yaml'}; report: {report}")
    if len(result["trials"]) < trials and strategy != "hyperband":
        console.print(f"{len(result['trials'])} of {trials} trials; the same command goes on.")


def _check_roles(
    workers: int | None, deadline_minutes: float | None, chief: str | None, worker_id: str | None
) -> None:
    from ser_keras.errors import ConfigError

    if workers is not None and chief is not None:
        raise ConfigError("Give either --workers, for this machine alone, or --chief.")
    if worker_id is not None and chief is None:
        raise ConfigError(f"--worker-id {worker_id}: give --chief, too, the address to ask.")
    if deadline_minutes is not None and workers is None:
        raise ConfigError("--deadline-minutes: give --workers, too; they are what can be ended.")


def _work(
    search: "Search", features: Path, output: Path, workers: int, deadline_minutes: float | None
) -> None:
    """Runs workers on this machine, under a bar of the trials that have ended."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from tuning.workers import run_workers

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[best]}"))
    with Progress(TextColumn("trials"), *columns, console=console) as bar:
        task = bar.add_task("trials", total=search.trials, best="")
        run_workers(
            search,
            features,
            output,
            workers=workers,
            deadline_s=None if deadline_minutes is None else 60 * deadline_minutes,
            progress=lambda ended, best: bar.update(
                task, completed=ended, best=f"best UA {100 * best:.1f}"
            ),
        )


def study(
    name: Annotated[str, typer.Argument(help="Which study; a wrong name lists them.")],
    features: Features,
    protocol: ProtocolName,
    output: Output,
    recipe: Annotated[str | None, typer.Option(help="Instead of the study's own recipe.")] = None,
    folds: Annotated[
        list[str] | None,
        typer.Option("--fold", help="Folds whose validation speakers judge; the first."),
    ] = None,
    values: Annotated[
        list[float] | None,
        typer.Option("--value", help="Only these values of the setting; all when left out."),
    ] = None,
    class_set: ClassSetName = None,
    overrides: Overrides = None,
    results: Results = None,
) -> None:
    """Train at every value of one setting and draw what it does."""
    with starting():
        from ser_keras import plots
        from ser_keras.cli.verbs import EpochBars
        from ser_keras.data.feature_set import FeatureSet
        from ser_keras.experiments.provenance import command
        from ser_keras.files import write_json
        from ser_keras.protocols import build_protocol
        from tuning.search import default_folds
        from tuning.study import load_study, run_study

    asked = load_study(name, recipe, values or ())
    feature_set = FeatureSet.open(features)
    folds_of = build_protocol(protocol, feature_set.rows, class_set=class_set)
    with EpochBars() as bars:
        result = run_study(
            asked,
            feature_set,
            folds_of,
            output,
            folds=folds or default_folds(folds_of, 1),
            changes=overrides or (),
            command=command(),
            progress=bars,
        )
    plots.study(result, output / "study.svg")
    for line in result["lines"]:
        console.print(f"{line['about']} ({line['unit']}), validation UA and WA in %:")
        for point in line["points"]:
            scores = f"UA {100 * point['ua']:.1f}, WA {100 * point['wa']:.1f}"
            console.print(f"  {point['value']:g}: {scores}")
        console.print(f"  best by {result['criterion'].upper()}: {line['chosen']:g}")
    if results is not None:
        place = results / f"study-{result['dataset']}-{name}.json"
        write_json(place, result)
        plots.study(result, place.with_suffix(".svg"))
    console.print(f"figure: {output / 'study.svg'}")
