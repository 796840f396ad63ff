"""The verbs of the science: parse options, build a config, call one function.

Heavy packages are imported inside the verbs, so that listings and help stay instant.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

console = Console(soft_wrap=True, highlight=False)

Features = Annotated[Path, typer.Option(help="Output folder of `ser features`.")]
ProtocolName = Annotated[str, typer.Option(help="Named protocol; see `ser corpora`.")]
ClassSetName = Annotated[
    str | None, typer.Option("--classes", help="Class set; the protocol's own when left out.")
]
Recipe = Annotated[str, typer.Option(help="Name of a recipe, or a YAML file.")]
Recipes = Annotated[
    list[str] | None,
    typer.Option(
        "--recipe",
        help="Name of a recipe, or a YAML file; several to let each fold's validation speakers "
        "choose.",
    ),
]
Unlabelled = Annotated[
    list[Path] | None,
    typer.Option(
        help="Further features, trained on without labels; those of test speakers are left out."
    ),
]
DEFAULT_RECIPE = "alexnet_fcn"
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Change one key, such as --set epochs=20.")
]
Output = Annotated[Path, typer.Option(help="Folder of the run. Run again to go on after a kill.")]
Seed = Annotated[int, typer.Option(help="Seed of the folds.")]
Strategy = Annotated[
    str,
    typer.Option(help="none; mirrored: all devices here; multiworker: the machines in TF_CONFIG."),
]


def starting() -> AbstractContextManager[Any]:
    """Returns what shows that a verb is at work while it imports; TensorFlow takes seconds."""
    return console.status("starting")


def corpora() -> None:
    """List the corpora: size, classes, speakers, protocols, licence, and how to get each."""
    from ser_keras.corpora import CORPORA
    from ser_keras.protocols import protocol_names

    for name, corpus in CORPORA.items():
        info = corpus.info
        console.print(f"[bold]{name}[/]: {info.title}")
        facts = {
            "size": _size(info),
            "labels": ", ".join(f"{label} {count}" for label, count in info.labels.items()),
            "protocols": ", ".join(protocol_names(name)),
            "classes": ", ".join(info.class_sets) or "from the labels",
            "licence": info.licence,
            "access": info.access,
        }
        for what, text in facts.items():
            console.print(f"  {what:9} {text or 'from the data'}", markup=False)


def _size(info: Any) -> str:
    if info.utterances is None:
        return "from the data"
    return f"{info.utterances} utterances of {len(info.speakers)} speakers"


def download(
    corpus: Annotated[str, typer.Argument(help="ravdess or emodb.")],
    data_dir: Annotated[Path, typer.Option(help="Where a folder of the corpus's name is made.")],
) -> None:
    """Download a free corpus: resumable, hash-checked, unpacked safely."""
    from ser_keras.corpora.download import download as fetch

    console.print(f"{corpus} is at {fetch(corpus, data_dir / corpus)}")


def audit(
    corpus: Annotated[str, typer.Option(help="Corpus to audit; see `ser corpora`.")],
    data_dir: Annotated[Path, typer.Option(help="Folder of the corpus.")],
    protocol: Annotated[
        str | None, typer.Option(help="Audit this protocol's folds as well.")
    ] = None,
    class_set: ClassSetName = None,
    allow_partial: Annotated[bool, typer.Option(help="Accept a partial or doubled copy.")] = False,
    allow_outside: Annotated[
        bool, typer.Option(help="Accept rows of a manifest that lead out of its folder.")
    ] = False,
    seed: Seed = 0,
) -> None:
    """Look for leaks: duplicate recordings, shared speakers and sentences.

    Exits with 6 where a protocol breaks what its name promises.
    """
    from rich.progress import track

    from ser_keras import audit as leakage
    from ser_keras.corpora import read_corpus
    from ser_keras.protocols import build_protocol

    utterances = read_corpus(
        corpus, data_dir, allow_partial=allow_partial, allow_outside=allow_outside
    )
    rows = [
        leakage.row_of(utterance)
        for utterance in track(utterances, "listening", console=console, transient=True)
    ]
    findings = leakage.audit_audio(rows)
    if protocol:
        findings += leakage.audit_protocol(
            build_protocol(protocol, utterances, class_set=class_set, seed=seed), rows
        )
    print_findings(findings)
    leakage.enforce(findings)


def print_findings(findings: Sequence[Any]) -> None:
    """Prints one line per finding, worst first."""
    colours = {"fail": "bold red", "warn": "yellow", "info": "dim"}
    for finding in sorted(findings, key=lambda f: ("fail", "warn", "info").index(f.severity)):
        console.print(
            f"[{colours[finding.severity]}]{finding.severity}[/] {finding.check}: ", end=""
        )
        console.print(finding.message, markup=False)
    if not findings:
        console.print("audit: no findings")


def _open(features: Path, protocol: str, class_set: str | None, seed: int) -> tuple[Any, Any]:
    from ser_keras.data.feature_set import FeatureSet
    from ser_keras.protocols import build_protocol

    feature_set = FeatureSet.open(features)
    return feature_set, build_protocol(protocol, feature_set.rows, class_set=class_set, seed=seed)


class EpochBars:
    """A progress bar per fold: epochs done, loss, and validation UA where there is one.

    Above them another moves, since an epoch may take minutes and a fold is shown after its first.
    Where the output is no terminal, such as a log file, lines take the place of the bars: one for
    each fold's first and last epoch, and one every `LOG_EVERY_S` seconds.
    """

    LOG_EVERY_S = 30.0

    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[logs]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._moving = self.bars.add_task("training", total=None, logs="")
        self.tasks: dict[str, Any] = {}
        self._logged_s = 0.0

    def __enter__(self) -> "EpochBars":
        self.bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.bars.remove_task(self._moving)
        if kind is None:
            for task in self.bars.tasks:
                # Fewer epochs than asked for: no better one was to be expected.
                self.bars.update(task.id, total=task.completed)
        self.bars.stop()

    def __call__(self, fold: str, epoch: int, epochs: int, logs: Mapping[str, float]) -> None:
        """Shows that `epoch` of `epochs` of a fold has ended with these logs."""
        if fold not in self.tasks:
            self.tasks[fold] = self.bars.add_task(f"fold {fold}", total=epochs, logs="")
        text = f"loss {logs['loss']:.3f}"
        if "valid_ua" in logs:
            text += f"  valid UA {100 * logs['valid_ua']:.1f}"
        self.bars.update(self.tasks[fold], completed=epoch, logs=text)
        if not console.is_terminal:
            self._log(fold, epoch, epochs, text)

    def _log(self, fold: str, epoch: int, epochs: int, text: str) -> None:
        now_s = time.monotonic()
        if epoch in (1, epochs) or now_s - self._logged_s >= self.LOG_EVERY_S:
            self._logged_s = now_s
            console.print(f"fold {fold}: epoch {epoch} of {epochs}, {text}", markup=False)


def crossval(
    features: Features,
    protocol: ProtocolName,
    output: Output,
    recipe: Recipes = None,
    class_set: ClassSetName = None,
    overrides: Overrides = None,
    folds: Annotated[list[str] | None, typer.Option("--fold", help="Only these folds.")] = None,
    label_fraction: Annotated[
        float | None,
        typer.Option(help="Share of the training utterances of each class that keep their labels."),
    ] = None,
    unlabelled: Unlabelled = None,
    seed: Seed = 0,
    results: Annotated[
        Path | None, typer.Option(help="Also write the result into this folder, for the report.")
    ] = None,
    strategy: Strategy = "none",
) -> None:
    """Train and test every fold of a protocol; print the pooled scores."""
    overrides = list(overrides or ())
    if label_fraction is not None:
        overrides.append(f"unlabelled.label_fraction={label_fraction}")
    with starting():
        from ser_keras.config import load_config
        from ser_keras.data.feature_set import FeatureSet
        from ser_keras.experiments.crossval import run_crossval
        from ser_keras.experiments.provenance import command
        from ser_keras.experiments.searched import searched_folds
        from ser_keras.training.distribute import check_strategy, joined

    names = recipe or [DEFAULT_RECIPE]
    recipes = {Path(name).stem: load_config(name, overrides) for name in names}
    feature_set, folds_of = _open(features, protocol, class_set, seed)
    for config in recipes.values():
        check_strategy(strategy, config)
        announce_weights(config)
    with joined(strategy, output, console.print) as (workers, folder):
        with EpochBars() as bars:
            result = run_crossval(
                recipes,
                feature_set,
                folds_of,
                folder,
                folds=folds or (),
                unlabelled_sets=[FeatureSet.open(path) for path in unlabelled or ()],
                searched=[fold for name in names for fold in searched_folds(name)],
                command=command(),
                progress=bars,
                workers=workers,
            )
        if workers.chief:
            _show_result(result, output, results)


def _show_result(result: Mapping[str, Any], output: Path, results: Path | None) -> None:
    from ser_keras.files import write_json
    from ser_keras.plots import learning_curves
    from ser_keras.report import results as reports

    if results:
        path = reports.result_path(results, result)
        write_json(path, result)
        learning_curves(result, path.with_suffix(".svg"))
    console.print(reports.describe(result), markup=False)
    console.print(f"result: {output / 'result.json'}")


def announce_weights(config: Any) -> None:
    """Says which weights the model starts from."""
    if config.model.weights is None:
        console.print(
            "[yellow]random weights[/]: no pretrained file is given (model.weights); "
            "the result says so."
        )


def train(
    features: Features,
    protocol: ProtocolName,
    fold: Annotated[str, typer.Option(help="Name of the fold.")],
    output: Output,
    recipe: Recipe = DEFAULT_RECIPE,
    class_set: ClassSetName = None,
    overrides: Overrides = None,
    seed: Seed = 0,
    strategy: Strategy = "none",
) -> None:
    """Train one fold of a protocol and score its test part."""
    more: dict[str, Any] = {"folds": [fold], "seed": seed, "strategy": strategy}
    crossval(features, protocol, output, [recipe], class_set, overrides, **more)


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of `ser train` or `ser crossval`.")],
    features: Features,
    fold: Annotated[
        str | None, typer.Option(help="The run's fold; needed if it has several.")
    ] = None,
    whole: Annotated[
        bool,
        typer.Option("--all", help="Score every utterance of the features, not the test part."),
    ] = False,
    output: Annotated[Path | None, typer.Option(help="Write the scores as JSON.")] = None,
) -> None:
    """Score a trained model again, on its own test part or on another feature set."""
    with starting():
        from ser_keras.experiments.evaluate import evaluate_run
        from ser_keras.files import write_json

    with console.status("scoring"):
        summary = evaluate_run(run, features, fold=fold, whole=whole)
    if output:
        write_json(output, summary)
    console.print_json(data=summary)


def label_curve(
    features: Features,
    protocol: ProtocolName,
    output: Output,
    recipe: Recipe = "sparse_autoencoder",
    class_set: ClassSetName = None,
    overrides: Overrides = None,
    folds: Annotated[list[str] | None, typer.Option("--fold", help="Only these folds.")] = None,
    fractions: Annotated[
        list[float] | None,
        typer.Option("--fraction", help="Share of labels; 0.05, 0.1, 0.25, 0.5, 1 if left out."),
    ] = None,
    unlabelled: Unlabelled = None,
    seed: Seed = 0,
    results: Annotated[Path | None, typer.Option(help="Also write the curve here.")] = None,
) -> None:
    """Train with fewer and fewer labels, with and without the rest; print UA at each share."""
    with starting():
        from ser_keras import plots
        from ser_keras.config import load_config
        from ser_keras.data.feature_set import FeatureSet
        from ser_keras.experiments.label_curve import FRACTIONS, run_label_curve
        from ser_keras.experiments.provenance import command
        from ser_keras.experiments.searched import searched_folds
        from ser_keras.files import write_json
        from ser_keras.report.results import describe_label_curve

    config = load_config(recipe, list(overrides or ()))
    feature_set, folds_of = _open(features, protocol, class_set, seed)
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
    path = (results or output) / f"labels-{result['dataset']}-{protocol}-{result['model']}.json"
    write_json(path, result)
    plots.label_curve(result, path.with_suffix(".svg"))
    console.print(describe_label_curve(result), markup=False)
    console.print(f"curve: {path.with_suffix('.svg')}")


def baseline(
    features: Features,
    protocol: ProtocolName,
    class_set: ClassSetName = None,
    seed: Seed = 0,
    results: Annotated[Path | None, typer.Option(help="Also write the result here.")] = None,
) -> None:
    """Score the floor: an SVM on each utterance's mean and deviation of the features."""
    with starting():
        from ser_keras.experiments.baseline import run_baseline
        from ser_keras.files import write_json

    feature_set, folds_of = _open(features, protocol, class_set, seed)
    with console.status("scoring"):
        result = run_baseline(feature_set, folds_of)
    if results:
        write_json(results / f"baseline-{result['dataset']}-{protocol}.json", result)
    console.print(
        f"SVM on {result['dataset']}, {protocol}: UA {100 * result['pooled']['ua']:.1f}, "
        f"WA {100 * result['pooled']['wa']:.1f}"
    )
