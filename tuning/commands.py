"""The verbs of tuning: parse options, call one function."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ser_keras.cli.console import console, print_markdown, starting
from ser_keras.cli.options import ClassSetName, Features, Output, Overrides, ProtocolName
from ser_keras.cli.progress import EpochBars

if TYPE_CHECKING:
    from ser_keras.data.feature_set import FeatureSet
    from ser_keras.protocols import Protocol
    from tuning.search import Search

Results = Annotated[Path | None, typer.Option(help="Also write figure and JSON into this folder.")]
Model = Annotated[str | None, typer.Option(help="System whose search space is used; see --space.")]
SpaceFile = Annotated[
    Path | None, typer.Option(help="YAML file of a search space, instead of --model.")
]
SearchStrategy = Annotated[str, typer.Option(help="random, bayesian or hyperband.")]
Trials = Annotated[int, typer.Option(help="Number of trials.")]
SearchFolds = Annotated[
    list[str] | None,
    typer.Option(
        "--fold", help="Folds whose validation speakers score a trial; the first two by default."
    ),
]
SearchSeed = Annotated[int, typer.Option(help="Seed for choosing the trials.")]
TrialEpochs = Annotated[
    int | None,
    typer.Option(help="Epochs of each trial; the best settings keep the recipe's epochs."),
]
Test = Annotated[
    bool,
    typer.Option(
        help="At the end, score the recipe and the best settings once on the folds' test parts."
    ),
]
Workers = Annotated[
    int | None, typer.Option(help="Processes on this machine that run trials at the same time.")
]
DeadlineMinutes = Annotated[
    float | None,
    typer.Option(help="With --workers: stop after this time; the same command continues."),
]
Chief = Annotated[
    str | None,
    typer.Option(
        help="host:port of the chief, for trials on several machines. Without --worker-id this "
        "process is the chief, with it a worker. All need --output on a shared disk."
    ),
]
WorkerId = Annotated[str | None, typer.Option(help="With --chief: name of this worker.")]


def tune(
    features: Features,
    protocol: ProtocolName,
    output: Output,
    model: Model = None,
    space: SpaceFile = None,
    strategy: SearchStrategy = "random",
    trials: Trials = 20,
    folds: SearchFolds = None,
    class_set: ClassSetName = None,
    overrides: Overrides = None,
    seed: SearchSeed = 0,
    trial_epochs: TrialEpochs = None,
    test: Test = False,
    results: Results = None,
    workers: Workers = None,
    deadline_minutes: DeadlineMinutes = None,
    chief: Chief = None,
    worker_id: WorkerId = None,
) -> None:
    """Search for settings on speakers that are in no test part; write the best as a recipe.

    With --workers or --chief no trial is stopped early, because which trials fall behind would then
    depend on timing.
    """
    with starting():
        from ser_keras.data.feature_set import FeatureSet
        from ser_keras.errors import ConfigError
        from ser_keras.protocols import build_protocol
        from tuning.comparison import check_comparison
        from tuning.search import Search, default_folds
        from tuning.space import load_space, space_names

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
    job = _Job(search, feature_set, folds_of, output)
    if workers is not None:
        result: dict[str, Any] | None = job.run_workers(features, workers, deadline_minutes)
    elif chief is not None:
        result = job.run_member(chief, worker_id)
    else:
        result = job.run_alone()
    # A worker has no result; its chief has.
    if result is not None:
        job.report(result, test=test, results=results)


def _check_roles(
    workers: int | None, deadline_minutes: float | None, chief: str | None, worker_id: str | None
) -> None:
    from ser_keras.errors import ConfigError

    if workers is not None and chief is not None:
        raise ConfigError("Give either --workers, for this machine alone, or --chief.")
    if worker_id is not None and chief is None:
        raise ConfigError(f"--worker-id {worker_id}: give --chief as well, the address to ask.")
    if deadline_minutes is not None and workers is None:
        raise ConfigError("--deadline-minutes: give --workers as well; only they can be stopped.")


def print_note(sentence: str) -> None:
    """Prints a sentence, in which a path may hold brackets."""
    console.print(sentence)


@dataclass(frozen=True)
class _Job:
    """One search as the command line runs it: alone, with workers, or across machines."""

    search: "Search"
    feature_set: "FeatureSet"
    protocol: "Protocol"
    output: Path

    def run_alone(self) -> dict[str, Any]:
        from ser_keras.experiments.provenance import command
        from tuning.search import run_search

        with EpochBars() as bars:
            return run_search(
                self.search,
                self.feature_set,
                self.protocol,
                self.output,
                command=command(),
                progress=bars,
                note=print_note,
            )

    def run_workers(
        self, features: Path, workers: int, deadline_minutes: float | None
    ) -> dict[str, Any]:
        """Runs workers on this machine, under a bar of the trials that have ended."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        from tuning.search import begin_search
        from tuning.workers import run_workers

        begin_search(self.search, self.feature_set, self.protocol, self.output, print_note)
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[best]}"))
        with Progress(TextColumn("trials"), *columns, console=console) as bar:
            task = bar.add_task("trials", total=self.search.trials, best="")
            run_workers(
                self.search,
                features,
                self.output,
                workers=workers,
                deadline_s=None if deadline_minutes is None else 60 * deadline_minutes,
                progress=lambda ended, best: bar.update(
                    task, completed=ended, best=f"best UA {100 * best:.1f}"
                ),
            )
        return self._end()

    def run_member(self, chief: str, worker_id: str | None) -> dict[str, Any] | None:
        """Runs one process of a search across machines; a worker has no result."""
        from tuning.search import begin_search
        from tuning.workers import CHIEF, Member

        if worker_id is None:
            begin_search(self.search, self.feature_set, self.protocol, self.output, print_note)
        member = Member(chief, worker_id or CHIEF)
        with console.status(f"{member.name} of the search at {chief}, {self.output}"):
            member.run(self.search, self.feature_set, self.protocol, self.output)
        return self._end() if worker_id is None else None

    def _end(self) -> dict[str, Any]:
        from ser_keras.experiments.provenance import command
        from tuning.search import end_search

        return end_search(self.search, self.feature_set, self.protocol, self.output, command())

    def report(self, result: dict[str, Any], *, test: bool, results: Path | None) -> None:
        """Scores the best settings if that is asked for; writes and prints the result."""
        from tuning.report import describe_test, keep, table, write_report

        if test:
            self._compare(result)
        page = write_report(result, self.output)
        print_markdown(table(result, most=10))
        if test:
            console.print(describe_test(result))
        if results is not None:
            keep(result, self.output, results)
        console.print(f"best: {self.output / 'best.yaml'}; report: {page}")
        count, trials = len(result["trials"]), self.search.trials
        if count < trials and self.search.strategy != "hyperband":
            console.print(f"{count} of {trials} trials; the same command continues.")

    def _compare(self, result: dict[str, Any]) -> None:
        from ser_keras.experiments.provenance import command
        from ser_keras.experiments.searched_folds import RESULT
        from ser_keras.files import write_json
        from tuning.comparison import compare_on_test

        with EpochBars() as bars:
            result["test"] = compare_on_test(
                self.search,
                self.feature_set,
                self.protocol,
                self.output,
                command=command(),
                progress=bars,
            )
        write_json(self.output / RESULT, result)


def study(
    name: Annotated[str, typer.Argument(help="Name of the study; an unknown one lists all.")],
    features: Features,
    protocol: ProtocolName,
    output: Output,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe to use instead of the study's own.")
    ] = None,
    folds: Annotated[
        list[str] | None,
        typer.Option("--fold", help="Folds whose validation speakers judge; by default the first."),
    ] = None,
    values: Annotated[
        list[float] | None,
        typer.Option("--value", help="Only these values of the setting; all by default."),
    ] = None,
    class_set: ClassSetName = None,
    overrides: Overrides = None,
    results: Results = None,
) -> None:
    """Train with every value of one setting and draw the effect."""
    with starting():
        from ser_keras import plots
        from ser_keras.data.feature_set import FeatureSet
        from ser_keras.experiments.provenance import command
        from ser_keras.files import write_json
        from ser_keras.protocols import build_protocol
        from ser_keras.report.results_folder import study_path
        from tuning.search import default_folds
        from tuning.study import load_study, run_study

    setting = load_study(name, recipe, values or ())
    feature_set = FeatureSet.open(features)
    folds_of = build_protocol(protocol, feature_set.rows, class_set=class_set)
    with EpochBars() as bars:
        result = run_study(
            setting,
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
        path = study_path(results, result)
        write_json(path, result)
        plots.study(result, path.with_suffix(".svg"))
    console.print(f"figure: {output / 'study.svg'}")
