"""The verb `reproduce`: a paper's protocol on the paper's corpus, its table beside ours."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.experiments import SYSTEMS, Experiment, Variant, comparison, find_experiment


def reproduce(
    system: Annotated[str, typer.Argument(help=f"One of {', '.join(SYSTEMS)}.")],
    data_dir: Annotated[Path, typer.Option(help="Folder of the corpus.")],
    corpus: Annotated[
        str | None, typer.Option(help="One of the paper's corpora; its first when left out.")
    ] = None,
    output: Annotated[
        Path, typer.Option(help="Features, runs and the table. Run again to go on after a kill.")
    ] = Path("reproduce"),
    variants: Annotated[
        list[str] | None, typer.Option("--variant", help="Only these rows of the table.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Change one key of every recipe.")
    ] = None,
    folds: Annotated[list[str] | None, typer.Option("--fold", help="Only these folds.")] = None,
    allow_partial: Annotated[bool, typer.Option(help="Accept a partial copy.")] = False,
    class_set: Annotated[
        str | None, typer.Option("--classes", help="Class set; the experiment's when left out.")
    ] = None,
) -> None:
    """Run a paper's experiment and print its table beside ours, in ordinary WA and UA."""
    from rich.console import Console

    from ser_keras.training.checkpoint import write_atomic

    console = Console(soft_wrap=True, highlight=False)
    experiment = find_experiment(system, corpus)
    chosen = choose_variants(experiment, variants or ())
    results: dict[str, Any] = {}
    for variant in chosen:
        console.rule(f"{experiment.system} on {experiment.corpus}: {variant.name}")
        results[variant.name] = run_variant(
            experiment,
            variant,
            data_dir,
            output / f"{experiment.system}-{experiment.corpus}",
            changes=overrides or (),
            folds=folds or experiment.folds,
            allow_partial=allow_partial,
            class_set=class_set or experiment.class_set,
        )
        table = comparison(experiment, results)
        path = output / f"{experiment.system}-{experiment.corpus}" / "table.md"
        write_atomic(path, lambda file, text=table: file.write(f"{text}\n".encode()))
    console.print(table, markup=False)
    console.print(f"table: {path}")


def choose_variants(experiment: Experiment, names: Sequence[str]) -> list[Variant]:
    """Returns the variants called `names`, in the table's order; all when `names` is empty.

    Raises:
        ConfigError: unknown name; the nearest are suggested.
    """
    from ser_keras.errors import ConfigError, unknown_name

    known = [variant.name for variant in experiment.variants]
    for name in names:
        if name not in known:
            raise ConfigError(unknown_name(f"variant of {experiment.system}", name, known))
    return [v for v in experiment.variants if not names or v.name in names]


def run_variant(
    experiment: Experiment,
    variant: Variant,
    data_dir: Path,
    output: Path,
    *,
    changes: Sequence[str],
    folds: Sequence[str],
    allow_partial: bool,
    class_set: str | None,
) -> dict[str, Any]:
    """Makes the features (once), trains and tests the folds, and returns the result.

    Raises:
        SerError: as the feature job and the cross-validation do.
    """
    from pipeline.commands import FeatureBar, quiet_beam
    from ser_keras.commands import EpochBars, starting

    quiet_beam()
    with starting():
        from pipeline.feature_job import build_feature_set
        from ser_keras.data.feature_set import FeatureSet
        from ser_keras.features.specs import get_spec
        from ser_keras.protocols import build_protocol
        from ser_keras.training import provenance
        from ser_keras.training.config import load_config
        from ser_keras.training.crossval import run_crossval

    recipe = variant.recipe or experiment.recipe
    config = load_config(recipe, [*variant.changes, *changes])
    with FeatureBar() as bar:
        features = build_feature_set(
            experiment.corpus,
            data_dir,
            get_spec(config.spec),
            output / "features" / config.spec,
            allow_partial=allow_partial,
            progress=bar,
        )
    feature_set = FeatureSet.open(features)
    with EpochBars() as bars:
        return run_crossval(
            {recipe: config},
            feature_set,
            build_protocol(experiment.protocol, feature_set.rows, class_set=class_set),
            output / variant.name.replace(" ", "-").replace(",", ""),
            folds=folds,
            command=provenance.command(),
            progress=bars,
        )
