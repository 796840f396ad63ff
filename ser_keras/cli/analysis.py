"""The verbs that look at what was trained: parse options, call one function, print."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ser_keras.cli.console import console, print_markdown, print_table, starting
from ser_keras.cli.options import (
    Features,
    FeatureSets,
    Joint,
    OnlyFolds,
    ResultsAndPicture,
    Unlabelled,
    only_one,
)
from ser_keras.cli.progress import EpochBars
from ser_keras.errors import ConfigError, unknown_name

FORMATS = ("table", "md")


def report(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Folders of `ser crossval`, or its result files; several are compared."
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            help="Folder for report.html, report.json and report.tex; or the page's own name, "
            "which ends in .html."
        ),
    ] = Path("report"),
    results: Annotated[
        Path, typer.Option(help="Folder of results; with RUNS, where the baselines are.")
    ] = Path("results"),
    baselines: Annotated[
        list[Path] | None,
        typer.Option(
            "--baseline",
            help="With RUNS: a result file of `ser baseline --results`, or a folder of them; "
            "beside those of --results.",
        ),
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--format", help="Without RUNS: table (fitted to the terminal) or md (Markdown)."
        ),
    ] = FORMATS[0],
    readme: Annotated[
        Path | None,
        typer.Option(help="Without RUNS: write the tables between this file's markers."),
    ] = None,
) -> None:
    """Compare runs in one HTML page; without RUNS, show the table of all results."""
    if form not in FORMATS:
        raise ConfigError(f"--format: {unknown_name('format', form, FORMATS)}")
    if runs:
        if readme is not None:
            raise ConfigError("--readme: writes the table of all results; leave out the runs.")
        if form != FORMATS[0]:
            raise ConfigError(f"--format {form}: is for the table of all results; leave out RUNS.")
        _report_on(runs, output, [results, *(baselines or ())])
    elif readme is not None:
        _write_tables(readme, results)
    else:
        _print_results(results, form)


def _report_on(runs: list[Path], output: Path, baselines: list[Path]) -> None:
    with starting():
        from ser_keras.report.pages.page import write_report
        from ser_keras.report.pages.terminal import HEAD, sections
        from ser_keras.report.runs import baselines_in, open_runs

    opened, known = open_runs(runs), baselines_in(baselines)
    with console.status("drawing"):
        paths = write_report(opened, output, known)
    for section in sections((run.result for run in opened), known):
        print_table(HEAD, section.rows, section.title)
    console.print(f"report: {', '.join(map(str, paths))}")


def _print_results(results: Path, form: str) -> None:
    from ser_keras.report.pages.terminal import HEAD, sections_of
    from ser_keras.report.pages.words import WORDS
    from ser_keras.report.results_folder import read_results
    from ser_keras.report.tables import table_of

    kept = read_results(results, required=True)
    if form == "md":
        console.print(table_of(kept))
        return
    for section in sections_of(kept):
        print_table(HEAD, section.rows, section.title)
        console.print()
    for word in ("UA", "blind", "adapted", "ours"):
        console.print(f"{word}: {WORDS[word]}.", soft_wrap=False)


def _write_tables(readme: Path, results: Path) -> None:
    with starting():
        from ser_keras.plots import learning_curves
        from ser_keras.report.results_folder import read_results
        from ser_keras.report.sections import sections_of, write_sections

    if not readme.is_file():
        raise ConfigError(f"--readme {readme}: found no file there.")
    kept = read_results(results, required=True)
    changed = write_sections(readme, sections_of(kept))
    for path, result in kept["cross-validation"].items():
        learning_curves(result, path.with_suffix(".svg"))
    console.print(f"{readme}: {'tables written' if changed else 'already up to date'}")


def evaluate(
    run: Annotated[
        Path, typer.Argument(help="Folder of `ser train`, `ser crossval` or `ser ensemble`.")
    ],
    features: FeatureSets,
    fold: Annotated[
        str | None, typer.Option(help="The run's fold; needed if it has several.")
    ] = None,
    whole: Annotated[
        bool,
        typer.Option("--all", help="Score all utterances of the features, not only the test part."),
    ] = False,
    output: Annotated[Path | None, typer.Option(help="Write the scores as JSON.")] = None,
) -> None:
    """Score a trained model again, on its own test part or on another feature set."""
    with starting():
        from ser_keras.cli.ensemble import scores_again
        from ser_keras.files import write_json

    with console.status("scoring"):
        summary = scores_again(run, features, fold, whole)
    if output:
        write_json(output, summary)
    console.print_json(data=summary)


def sampled(
    run: Annotated[Path, typer.Argument(help="Folder of a run of predictive_vrnn.")],
    features: Features,
    results: ResultsAndPicture = None,
) -> None:
    """Show what share of its input a predictive VRNN sampled, by emotion, on its test parts.

    The paper's printed values stand beside ours. The result and its picture are written into the
    run's folder, as sampled.json and sampled.svg.
    """
    with starting():
        from ser_keras.experiments.attention import sampled_by_emotion
        from ser_keras.plots import sampled_input
        from ser_keras.report.attention import describe_sampled
        from ser_keras.report.results_folder import sampled_path

    with console.status("opening the run") as status:
        result = sampled_by_emotion(run, features, lambda fold: status.update(f"scoring {fold}"))
    print_markdown(describe_sampled(result))
    kept = sampled_path(results, result) if results else None
    _write_with_picture(result, sampled_input, run / "sampled.json", kept)


def attention_statistics(
    run: Annotated[
        Path, typer.Argument(help="Folder of a run of moma with its mixture of attention.")
    ],
    features: Features,
    results: ResultsAndPicture = None,
) -> None:
    """Measure how smooth, even and alike MOMA's attention maps are on the test parts of a run.

    Expresses the claims of the paper's Sec. 5.1 as numbers: entropy, total variation and
    correlation of layer 1, of each block of layer 2 and of their mixture. Says whether each claim
    holds. The result and its picture are written into the run's folder as attention.json and
    attention.svg, the numbers of every recording as attention.csv.
    """
    with starting():
        from ser_keras.experiments import attention
        from ser_keras.files import write_csv
        from ser_keras.plots import map_statistics
        from ser_keras.report.attention import describe_attention_statistics
        from ser_keras.report.results_folder import attention_path

    with console.status("opening the run") as status:
        measured = attention.attention_statistics(
            run, features, lambda fold: status.update(f"measuring {fold}")
        )
    result = measured.result
    print_markdown(describe_attention_statistics(result))
    write_csv(run / "attention.csv", measured.files)
    console.print(f"every recording: {run / 'attention.csv'}")
    kept = attention_path(results, result) if results else None
    _write_with_picture(result, map_statistics, run / "attention.json", kept)


def attended(
    run: Annotated[
        Path,
        typer.Argument(help="Folder of a run on features with prosody, such as mel64-prosody."),
    ],
    features: Features,
    results: ResultsAndPicture = None,
) -> None:
    """Show which frames attention prefers: high or low, loud or quiet, voiced or not, by emotion.

    The result and its picture are written into the run's folder, as attended.json and attended.svg.
    """
    with starting():
        from ser_keras.experiments.attention import attended_contours
        from ser_keras.plots import attended_frames
        from ser_keras.report.attention import describe_attended
        from ser_keras.report.results_folder import attended_path

    with console.status("opening the run") as status:
        result = attended_contours(run, features, lambda fold: status.update(f"reading {fold}"))
    print_markdown(describe_attended(result))
    kept = attended_path(results, result) if results else None
    _write_with_picture(result, attended_frames, run / "attended.json", kept)


def _write_with_picture(
    result: Mapping[str, Any],
    draw: Callable[[Mapping[str, Any], Path], None],
    *paths: Path | None,
) -> None:
    """Writes a result to every path that is given, and its picture beside it."""
    from ser_keras.files import write_json

    for path in filter(None, paths):
        write_json(path, result)
        picture = path.with_suffix(".svg")
        draw(result, picture)
        console.print(f"picture: {picture}")


def calibrate(
    run: Annotated[
        Path, typer.Argument(help="Folder of `ser train`, `ser crossval` or `ser ensemble`.")
    ],
    features: FeatureSets,
    folds: OnlyFolds = None,
    unlabelled: Unlabelled = None,
    joint: Joint = None,
    results: Annotated[
        Path | None, typer.Option(help="Also write it beside the run's result in this folder.")
    ] = None,
) -> None:
    """Make a run's probabilities mean what they say: at 70 %, right in 70 % of the cases.

    Fits a temperature for each fold, on its validation part. If the epochs were fixed in advance,
    the models have trained on that part. A second model is then trained without it, which takes as
    long as the run did. The temperature of an ensemble is fitted to the mean of its members.
    """
    with starting():
        from ser_keras.data.feature_set import FeatureSet
        from ser_keras.experiments.calibration import calibrate_run
        from ser_keras.experiments.ensemble import calibrate_ensemble, is_ensemble
        from ser_keras.files import write_json
        from ser_keras.report.results_folder import read_json, result_path
        from ser_keras.report.runs import calibration_path

    sets = [FeatureSet.open(path) for path in features]
    more: Any = {
        "folds": folds or (),
        "unlabelled_sets": [FeatureSet.open(path) for path in unlabelled or ()],
        "joint_sets": [FeatureSet.open(path) for path in joint or ()],
    }
    with EpochBars() as bars:
        if is_ensemble(run):
            calibration = calibrate_ensemble(run, sets, progress=bars, **more)
        else:
            only_one(features, run)
            calibration = calibrate_run(run, sets[0], progress=bars, **more)
    if results:
        path = result_path(results, read_json(run / "result.json"))
        write_json(calibration_path(path), calibration)
    for name, fold in calibration["folds"].items():
        console.print(f"{name}: T {fold['temperature']:.2f}, on {fold['fitted_on']}")
    before, after = (
        100 * calibration[when]["expected_calibration_error"] for when in ("before", "after")
    )
    console.print(f"calibration error of the test parts: {before:.1f} before, {after:.1f} after")
