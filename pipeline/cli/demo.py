"""The verb `demo`: from audio to a report on the built-in corpus, without a download."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ser_keras.cli.console import console

if TYPE_CHECKING:
    from ser_keras.config import TrainConfig
    from ser_keras.data.feature_set import FeatureSet

CORPUS_PROTOCOL = "synthetic-loso"


def demo(
    output: Annotated[Path, typer.Option(help="Folder for everything that the demo makes.")] = Path(
        "demo"
    ),
    seed: Annotated[int, typer.Option(help="Seed of the corpus and of training.")] = 0,
    tune: Annotated[
        bool,
        typer.Option("--tune", help="Search for settings instead of training with fixed ones."),
    ] = False,
) -> None:
    """Try everything in a minute: make synthetic speech, train, test on unseen speakers, report."""
    from pipeline.beam.quiet import quiet_beam
    from pipeline.cli.progress import JobProgress
    from ser_keras.cli.console import print_findings, starting

    quiet_beam()
    with starting():
        from pipeline.features.job import build_feature_set
        from ser_keras.audit import audit_audio
        from ser_keras.config import load_config
        from ser_keras.corpora.synthetic import write_corpus
        from ser_keras.data.feature_set import FeatureSet
        from ser_keras.features.specs import get_spec

    config = load_config("demo", [f"seed={seed}"])
    console.rule("1. speech: the built-in synthetic corpus")
    corpus = write_corpus(output / "corpus", seed=seed, progress=True)
    console.rule("2. features: an Apache Beam job")
    with JobProgress() as progress:
        features = build_feature_set(
            "synthetic", corpus, get_spec(config.spec), output / "features", progress=progress
        )
    if tune:
        console.rule("3. search: settings scored on speakers that are in no test part")
        _search(features, output / "search", seed)
        return
    feature_set = FeatureSet.open(features)
    console.rule("3. training and test: no speaker is in both")
    fold = _train(config, feature_set, output, seed)
    console.rule("5. audit of the recordings")
    print_findings(audit_audio(feature_set.rows))
    console.rule("What next")
    _print_next(output, fold)


def _print_next(output: Path, fold: str) -> None:
    """Prints the three commands that a newcomer gives next, on one line each."""
    recording = min((output / "corpus").rglob("*.wav"))
    run, features, corpus = (output / name for name in ("run", "features", "corpus"))
    lines = {
        f"ser report {run}": "every number and picture on one page, report/report.html",
        f"ser export {run} --fold {fold} --features {features} --data-dir {corpus} --name demo": (
            "the model as one that takes raw speech, in models/demo"
        ),
        f"ser predict {recording} --model models/demo": "its answer to a recording",
    }
    for command, purpose in lines.items():
        console.print(f"# {purpose}", style="dim")
        console.print(command)


def _train(config: "TrainConfig", feature_set: "FeatureSet", output: Path, seed: int) -> str:
    """Trains and tests on three folds, prints the report, and returns the first fold's name."""
    from ser_keras.cli.console import print_table
    from ser_keras.cli.progress import EpochBars
    from ser_keras.experiments import provenance
    from ser_keras.experiments.crossval import run_crossval
    from ser_keras.files import write_json
    from ser_keras.plots import learning_curves
    from ser_keras.protocols import build_protocol
    from ser_keras.report.pages.plain import in_plain_words
    from ser_keras.report.pages.terminal import HEAD, sections
    from ser_keras.report.results_folder import result_path

    protocol = build_protocol(CORPUS_PROTOCOL, feature_set.rows, seed=seed)
    with EpochBars() as bars:
        result = run_crossval(
            {"demo": config},
            feature_set,
            protocol,
            output / "run",
            folds=[fold.name for fold in protocol.folds[:3]],
            command=provenance.command(),
            progress=bars,
        )
    console.rule("4. report")
    write_json(result_path(output / "results", result), result)
    learning_curves(result, output / "results" / "learning_curves.svg")
    for section in sections([result]):
        print_table(HEAD, section.rows, section.title)
    console.print()
    measured, score, _, errors = in_plain_words(result)
    for sentence in (measured, score, errors):
        console.print(sentence, soft_wrap=False)
    console.print(
        "The speech is synthetic. The score shows that everything works, and says nothing about "
        "real speech, of which the model has heard none.",
        soft_wrap=False,
    )
    return protocol.folds[0].name


def _search(features: Path, output: Path, seed: int) -> None:
    """Tries every setting of the demonstration's search space for a few epochs."""
    from tuning.commands import tune

    tune(
        features,
        CORPUS_PROTOCOL,
        output,
        model="demo",
        trials=4,
        folds=["speaker-s01"],
        # The search starts from settings that learn nothing.
        overrides=["epochs=5", "optimizer.learning_rate=1e-6", "augment.noise=20.0"],
        seed=seed,
    )
