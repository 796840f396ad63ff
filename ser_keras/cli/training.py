"""The verbs that train: parse options, build a configuration, call one function, print.

Heavy packages are imported inside the verbs, so that listings and help stay instant.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from ser_keras.cli.console import console, print_markdown, starting
from ser_keras.cli.options import (
    DEFAULT_RECIPE,
    ClassSetName,
    Features,
    Joint,
    OnlyFolds,
    Output,
    Overrides,
    ProtocolName,
    Recipe,
    Recipes,
    Results,
    Seed,
    Strategy,
    Unlabelled,
    open_features,
    pairs_of,
)
from ser_keras.cli.progress import EpochBars, FoldBar
from ser_keras.cli.weights import announce_weights
from ser_keras.errors import ConfigError


def crossval(
    features: Features,
    protocol: ProtocolName,
    output: Output,
    recipe: Recipes = None,
    class_set: ClassSetName = None,
    overrides: Overrides = None,
    folds: OnlyFolds = None,
    label_fraction: Annotated[
        float | None,
        typer.Option(help="Share of the training utterances of each class that keep their labels."),
    ] = None,
    unlabelled: Unlabelled = None,
    joint: Joint = None,
    seed: Seed = 0,
    results: Results = None,
    strategy: Strategy = "none",
) -> None:
    """Train and test on every fold of a protocol, and print the scores over all folds."""
    overrides = list(overrides or ())
    if label_fraction is not None:
        overrides.append(f"unlabelled.label_fraction={label_fraction}")
    with starting():
        from ser_keras.config import load_config
        from ser_keras.data.feature_set import FeatureSet
        from ser_keras.experiments.crossval import run_crossval
        from ser_keras.experiments.provenance import command
        from ser_keras.experiments.searched_folds import searched_folds
        from ser_keras.training.distribute import check_strategy, joined

    names = recipe or [DEFAULT_RECIPE]
    recipes = {Path(name).stem: load_config(name, overrides) for name in names}
    feature_set, folds_of = open_features(features, protocol, class_set, seed)
    for config in recipes.values():
        check_strategy(strategy, config)
        announce_weights(config)
    with joined(strategy, output, console.print) as (workers, folder):
        with EpochBars() as bars:
            run_crossval(
                recipes,
                feature_set,
                folds_of,
                folder,
                folds=folds or (),
                unlabelled_sets=[FeatureSet.open(path) for path in unlabelled or ()],
                joint_sets=[FeatureSet.open(path) for path in joint or ()],
                searched=[fold for name in names for fold in searched_folds(name)],
                command=command(),
                progress=bars,
                note=bars.note,
                workers=workers,
            )
        if workers.chief:
            _show_results(output, results)


def _show_results(output: Path, results: Path | None) -> None:
    """Prints the result of a run on every track, and writes it into the folder of results."""
    from ser_keras.experiments.run_result import results_by_track
    from ser_keras.files import write_json
    from ser_keras.plots import learning_curves
    from ser_keras.report.results_folder import result_path
    from ser_keras.report.summary import describe

    for result in results_by_track(output):
        if results:
            path = result_path(results, result)
            write_json(path, result)
            learning_curves(result, path.with_suffix(".svg"))
        console.print(describe(result))
    console.print(f"result: {output / 'result.json'}")


def train(
    features: Features,
    protocol: ProtocolName,
    fold: Annotated[
        str,
        typer.Option(
            help="Name of the fold; `everyone` trains on all speakers and tests nobody, for a "
            "model to export."
        ),
    ],
    output: Output,
    recipe: Recipe = DEFAULT_RECIPE,
    class_set: ClassSetName = None,
    overrides: Overrides = None,
    seed: Seed = 0,
    strategy: Strategy = "none",
) -> None:
    """Train one fold of a protocol and score its test part."""
    from ser_keras.experiments.everyone import EVERYONE

    if fold == EVERYONE and strategy != "none":
        raise ConfigError(f"--fold {EVERYONE}: trains in one process. Leave out --strategy.")
    if fold == EVERYONE:
        _train_on_everyone(features, protocol, output, recipe, class_set, overrides, seed)
        return
    more: dict[str, Any] = {"folds": [fold], "seed": seed, "strategy": strategy}
    crossval(features, protocol, output, [recipe], class_set, overrides, **more)


def _train_on_everyone(
    features: Path, protocol: str, output: Path, recipe: str, *choices: Any
) -> None:
    with starting():
        from ser_keras.config import load_config
        from ser_keras.experiments.everyone import train_on_everyone

    class_set, overrides, seed = choices
    config = load_config(recipe, list(overrides or ()))
    opened = open_features(features, protocol, class_set, seed)
    announce_weights(config)
    with EpochBars() as bars:
        record = train_on_everyone(Path(recipe).stem, config, *opened, output, progress=bars)
    count = record["sizes"]["train"]
    console.print(f"trained on all {count} utterances; nobody was left to test. Next: ser export")


def label_curve(
    features: Features,
    protocol: ProtocolName,
    output: Output,
    recipe: Recipe = "sparse_autoencoder",
    class_set: ClassSetName = None,
    overrides: Overrides = None,
    folds: OnlyFolds = None,
    fractions: Annotated[
        list[float] | None,
        typer.Option("--fraction", help="Share of labels; 0.05, 0.1, 0.25, 0.5, 1 by default."),
    ] = None,
    unlabelled: Unlabelled = None,
    seed: Seed = 0,
    results: Results = None,
) -> None:
    """Show how UA grows with the share of labels, with and without the unlabelled rest."""
    with starting():
        from ser_keras import plots
        from ser_keras.config import load_config
        from ser_keras.data.feature_set import FeatureSet
        from ser_keras.experiments.label_curve import FRACTIONS, run_label_curve
        from ser_keras.experiments.provenance import command
        from ser_keras.experiments.searched_folds import searched_folds
        from ser_keras.files import write_json
        from ser_keras.report.results_folder import label_curve_path
        from ser_keras.report.summary import label_curve_table

    config = load_config(recipe, list(overrides or ()))
    feature_set, folds_of = open_features(features, protocol, class_set, seed)
    with EpochBars() as bars:
        result = run_label_curve(
            Path(recipe).stem,
            config,
            feature_set,
            folds_of,
            output,
            fractions=fractions or FRACTIONS,
            folds=folds or (),
            unlabelled_sets=[FeatureSet.open(path) for path in unlabelled or ()],
            searched=searched_folds(recipe),
            command=command(),
            progress=bars,
        )
    name = "-".join(["labels", result["dataset"], protocol, result["model"]])
    path = label_curve_path(results, result) if results else output / f"{name}.json"
    write_json(path, result)
    plots.label_curve(result, path.with_suffix(".svg"))
    print_markdown(label_curve_table(result))
    console.print(f"curve: {path.with_suffix('.svg')}")


def baseline(
    features: Features,
    protocol: ProtocolName,
    class_set: ClassSetName = None,
    kernel: Annotated[str, typer.Option(help="linear, rbf or both.")] = "both",
    track: Annotated[
        str,
        typer.Option(
            help="blind (nothing is known of a test speaker), adapted (normalised by the speaker's "
            "own recordings, without labels) or both."
        ),
    ] = "both",
    folds: OnlyFolds = None,
    seed: Seed = 0,
    results: Results = None,
) -> None:
    """Score the baseline that models are compared with: support vector machines.

    They see one vector for each utterance: openSMILE's functionals, if the features are those of
    `--spec compare` or `--spec egemaps`, otherwise the mean and deviation over time. C is chosen
    on speakers of each training part.
    """
    with starting():
        from ser_keras.experiments.baseline import KERNELS, TRACKS, run_baselines
        from ser_keras.experiments.provenance import command
        from ser_keras.files import write_json
        from ser_keras.report.results_folder import baseline_path
        from ser_keras.report.summary import describe_baseline

    opened = open_features(features, protocol, class_set, seed)
    with FoldBar() as bar:
        scored = run_baselines(
            *opened,
            kernels=KERNELS if kernel == "both" else (kernel,),
            tracks=TRACKS if track == "both" else (track,),
            folds=folds or (),
            seed=seed,
            command=command(),
            progress=bar,
        )
    for result in scored:
        if results:
            write_json(baseline_path(results, result), result)
        console.print(describe_baseline(result))


def crosscorpus(
    features: Annotated[
        list[Path], typer.Option(help="Output folder of `ser features`; once for each corpus.")
    ],
    output: Output,
    recipe: Recipe = DEFAULT_RECIPE,
    class_set: Annotated[
        str | None, typer.Option("--classes", help="Class set; what the corpora share by default.")
    ] = None,
    overrides: Overrides = None,
    seed: Annotated[int, typer.Option(help="Seed for drawing validation speakers.")] = 0,
    results: Results = None,
    label_map: Annotated[
        list[str] | None,
        typer.Option("--map", help="Labels that count as another, such as anger=angry."),
    ] = None,
) -> None:
    """Train on each corpus and test on all others, over the classes that they share."""
    with starting():
        from ser_keras import labels, plots
        from ser_keras.config import load_config
        from ser_keras.data.feature_set import FeatureSet
        from ser_keras.experiments.crosscorpus import run_crosscorpus
        from ser_keras.experiments.provenance import command
        from ser_keras.experiments.searched_folds import searched_folds
        from ser_keras.files import write_json
        from ser_keras.report.results_folder import crosscorpus_path
        from ser_keras.report.summary import crosscorpus_table

    with EpochBars() as bars:
        result = run_crosscorpus(
            Path(recipe).stem,
            load_config(recipe, list(overrides or ())),
            [FeatureSet.open(path) for path in features],
            output,
            class_set=labels.class_set(class_set) if class_set else None,
            merge=pairs_of("--map", label_map),
            seed=seed,
            searched=searched_folds(recipe),
            command=command(),
            progress=bars,
            note=bars.note,
        )
    name = "-".join(["crosscorpus", *result["datasets"], result["model"]])
    path = crosscorpus_path(results, result) if results else output / f"{name}.json"
    write_json(path, result)
    plots.corpus_matrix(result, path.with_suffix(".svg"))
    print_markdown(crosscorpus_table(result))
    console.print(f"matrix: {path.with_suffix('.svg')}")
