"""The verb `reproduce`: runs a paper's experiment and compares its table with the results."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.papers.experiment import Experiment, Variant
from pipeline.papers.experiment_run import ExperimentRun
from pipeline.papers.experiments import SYSTEMS, find_experiment
from ser_keras.cli.console import console
from ser_keras.cli.options import OnlyFolds
from ser_keras.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from pipeline.papers.checks import PlannedRow
    from ser_keras.data.feature_set import FeatureSet

WEIGHTS_KEY = "model.weights"


def reproduce(
    system: Annotated[str, typer.Argument(help=f"One of {', '.join(SYSTEMS)}.")],
    data_dir: Annotated[Path, typer.Option(help="Folder of the corpus.")],
    corpus: Annotated[
        str | None, typer.Option(help="One of the paper's corpora; the first by default.")
    ] = None,
    output: Annotated[
        Path,
        typer.Option(help="Folder for features, runs and the table. Run again to continue."),
    ] = Path("reproduce"),
    variants: Annotated[
        list[str] | None, typer.Option("--variant", help="Train only these rows of the table.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Change one key of every recipe.")
    ] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option(
            help="ImageNet weights for the rows that start from them: one file of AlexNet and one "
            "of VGG-16. Each row uses the file of its model."
        ),
    ] = None,
    unlabelled: Annotated[
        list[Path] | None,
        typer.Option(help="Features of speech without labels, for the rows that train on it."),
    ] = None,
    folds: OnlyFolds = None,
    allow_partial: Annotated[bool, typer.Option(help="Accept a partial copy.")] = False,
    class_set: Annotated[
        str | None, typer.Option("--classes", help="Class set; the experiment's by default.")
    ] = None,
) -> None:
    """Run a paper's experiment and print the published numbers beside the results.

    All models are built, and all weights, features and folds are checked, before the first row is
    trained. The table is written after each row, as table.md and, with all numbers, as table.json.
    It keeps the rows of earlier calls.
    """
    from pipeline.beam.quiet import quiet_beam
    from ser_keras.cli.console import print_markdown, starting

    experiment = find_experiment(system, corpus)
    chosen = choose_variants(experiment, variants or ())
    changes, files = split_weights(overrides or ())
    quiet_beam()
    with starting():
        from pipeline.papers.checks import plan_rows

    folder = output / f"{experiment.system}-{experiment.corpus}"
    all_rows, not_run = plan_rows(
        experiment, experiment.variants, changes, [*files, *(weights or ())], folder
    )
    rows = [row for row in all_rows if row.variant in chosen]
    sets = open_unlabelled(experiment, rows, unlabelled or ())
    run = ExperimentRun(
        experiment, data_dir, folder, folds or experiment.folds, class_set or experiment.class_set
    )
    run.check(rows, sets, allow_partial=allow_partial)
    run.load_results(all_rows)
    if class_set:
        changes.append(f"--classes {class_set}")
    print_markdown(run.train_rows(rows, sets, not_run, changes))
    console.print(f"table: {folder / 'table.md'}, {folder / 'table.json'}")


def choose_variants(experiment: Experiment, names: Sequence[str]) -> list[Variant]:
    """Returns the variants called `names`, in the table's order; all when `names` is empty.

    Raises:
        ConfigError: unknown name; the nearest are suggested.
    """
    known = [variant.name for variant in experiment.variants]
    for name in names:
        if name not in known:
            raise ConfigError(unknown_name(f"variant of {experiment.system}", name, known))
    return [v for v in experiment.variants if not names or v.name in names]


def split_weights(overrides: Sequence[str]) -> tuple[list[str], list[Path]]:
    """Separates `--set` options into (changes of every recipe, weights files).

    Example:
        >>> split_weights(["epochs=3", "model.weights=bvlc_alexnet.npy"])[0]
        ['epochs=3']
    """
    of_weights = [item for item in overrides if item.partition("=")[0].strip() == WEIGHTS_KEY]
    files = [Path(item.partition("=")[2].strip()) for item in of_weights]
    return [item for item in overrides if item not in of_weights], files


def open_unlabelled(
    experiment: Experiment, rows: Sequence["PlannedRow"], paths: Sequence[Path]
) -> list["FeatureSet"]:
    """Returns the feature sets of speech without labels.

    Raises:
        ConfigError: some are given, but no row to be trained uses them.
        SchemaError: a path holds no finished feature set.
    """
    from ser_keras.data.feature_set import FeatureSet

    if paths and not any(row.variant.unlabelled for row in rows):
        able = [variant.name for variant in experiment.variants if variant.unlabelled]
        raise ConfigError(
            f"--unlabelled {paths[0]}: found no row to train that learns from speech without "
            f"labels, expected one ({', '.join(able) or f'{experiment.system} has none'}). Leave "
            "it out."
        )
    return [FeatureSet.open(path) for path in paths]
