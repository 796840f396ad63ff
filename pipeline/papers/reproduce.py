"""The verb `reproduce`: a paper's protocol on the paper's corpus, its table beside ours."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.papers.experiment import Experiment, Variant
from pipeline.papers.experiments import SYSTEMS, find_experiment
from pipeline.papers.tables import markdown, table_facts
from ser_keras.cli.console import console
from ser_keras.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from pipeline.papers.checks import Planned
    from ser_keras.data.feature_set import FeatureSet
    from ser_keras.protocols import Protocol

WEIGHTS_KEY = "model.weights"


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
        list[str] | None, typer.Option("--variant", help="Train only these rows of the table.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Change one key of every recipe.")
    ] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option(
            help="ImageNet weights for the rows that start from them: a file of AlexNet, and one "
            "of VGG-16. Each row takes the one of its model."
        ),
    ] = None,
    unlabelled: Annotated[
        list[Path] | None,
        typer.Option(help="Features of another corpus, for the rows that learn without labels."),
    ] = None,
    folds: Annotated[list[str] | None, typer.Option("--fold", help="Only these folds.")] = None,
    allow_partial: Annotated[bool, typer.Option(help="Accept a partial copy.")] = False,
    class_set: Annotated[
        str | None, typer.Option("--classes", help="Class set; the experiment's when left out.")
    ] = None,
) -> None:
    """Run a paper's experiment and print its table beside ours, with intervals over speakers.

    Every row's model is built, and its weights, features and folds are checked, before the first
    row is trained. The table is written after each row, as table.md and with all numbers as
    table.json; rows of an earlier call stay in it.
    """
    from pipeline.beam.quiet import quiet_beam
    from ser_keras.cli.console import starting

    experiment = find_experiment(system, corpus)
    asked = choose_variants(experiment, variants or ())
    changes, files = split_weights(overrides or ())
    quiet_beam()
    with starting():
        from pipeline.papers.checks import plan_rows

    folder = output / f"{experiment.system}-{experiment.corpus}"
    all_rows, not_run = plan_rows(
        experiment, experiment.variants, changes, [*files, *(weights or ())], folder
    )
    rows = [row for row in all_rows if row.variant in asked]
    sets = open_unlabelled(experiment, rows, unlabelled or ())
    run = ExperimentRun(
        experiment, data_dir, folder, folds or experiment.folds, class_set or experiment.class_set
    )
    run.check(rows, sets, allow_partial=allow_partial)
    run.recall(all_rows)
    if class_set:
        changes.append(f"--classes {class_set}")
    for row in rows:
        run.train(row, sets)
        run.write_table(not_run, changes)
    console.print(run.write_table(not_run, changes), markup=False)
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
    """Returns (changes of every recipe, weights files), a file being for rows that start from one.

    Example:
        >>> split_weights(["epochs=3", "model.weights=bvlc_alexnet.npy"])[0]
        ['epochs=3']
    """
    of_weights = [each for each in overrides if each.partition("=")[0].strip() == WEIGHTS_KEY]
    files = [Path(each.partition("=")[2].strip()) for each in of_weights]
    return [each for each in overrides if each not in of_weights], files


def open_unlabelled(
    experiment: Experiment, rows: Sequence["Planned"], paths: Sequence[Path]
) -> list["FeatureSet"]:
    """Returns the feature sets of speech without labels.

    Raises:
        ConfigError: some are given, and no row that will be trained learns from them.
        SchemaError: no finished feature set is there.
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


class ExperimentRun:
    """One experiment on one copy of its corpus: checks all rows, trains them, keeps the table.

    Args:
        experiment: what the paper did.
        data_dir: Path. Folder of the corpus.
        folder: Path. Where features, runs and the table go.
        folds: names of the folds to run; all when empty.
        class_set: str or None. The protocol's own where None.
    """

    def __init__(
        self,
        experiment: Experiment,
        data_dir: Path,
        folder: Path,
        folds: Sequence[str],
        class_set: str | None,
    ):
        self.experiment = experiment
        self.data_dir = data_dir
        self.folder = folder
        self.folds = folds
        self.class_set = class_set
        self.feature_sets: dict[str, FeatureSet] = {}
        self.protocols: dict[str, Protocol] = {}
        self.results: dict[str, Any] = {}

    def check(
        self, rows: Sequence["Planned"], sets: Sequence["FeatureSet"], *, allow_partial: bool
    ) -> None:
        """Makes sure that every row can be trained; makes the features that are missing.

        Raises:
            SerError: something a row needs is not there, or does not fit.
        """
        from rich.progress import track

        from pipeline.papers.checks import check_data, check_model
        from ser_keras.corpora import read_corpus
        from ser_keras.experiments.crossval import choose_folds
        from ser_keras.protocols import build_protocol

        corpus = self.experiment.corpus
        with console.status(f"reading the list of {corpus}"):
            utterances = read_corpus(corpus, self.data_dir, allow_partial=allow_partial)
            # Before hours of features: the classes, and the folds asked for.
            protocol = build_protocol(
                self.experiment.protocol, utterances, class_set=self.class_set
            )
            choose_folds(protocol, self.folds)
        for row in track(rows, "building every model", console=console, transient=True):
            check_model(row, len(protocol.class_set.classes))
        for row in rows:
            self._make_features(row.config.spec, allow_partial)
        for row in track(rows, "checking every row's data", console=console, transient=True):
            self.protocols[row.variant.name] = check_data(
                self.experiment,
                row,
                self.feature_sets[row.config.spec],
                folds=self.folds,
                class_set=self.class_set,
                unlabelled=sets,
            )

    def _make_features(self, spec: str, allow_partial: bool) -> None:
        """Makes the features of a spec, or finds those made before."""
        from pipeline.cli.features import FeatureBar
        from pipeline.features.job import build_feature_set
        from ser_keras.data.feature_set import FeatureSet
        from ser_keras.features.specs import get_spec

        if spec in self.feature_sets:
            return
        with FeatureBar() as bar:
            path = build_feature_set(
                self.experiment.corpus,
                self.data_dir,
                get_spec(spec),
                self.folder / "features" / spec,
                allow_partial=allow_partial,
                progress=bar,
            )
        self.feature_sets[spec] = FeatureSet.open(path)

    def recall(self, rows: Sequence["Planned"]) -> None:
        """Takes over what earlier calls have finished with the same settings and folds."""
        from pipeline.papers.checks import finished_result

        for row in rows:
            for protocol in self.protocols.values():
                if result := finished_result(row.output, row.config, row.recipe, protocol):
                    self.results[row.variant.name] = result

    def train(self, row: "Planned", sets: Sequence["FeatureSet"]) -> None:
        """Trains and tests the folds of a row that has been checked."""
        from ser_keras.cli.progress import EpochBars
        from ser_keras.experiments import provenance
        from ser_keras.experiments.crossval import run_crossval

        name = row.variant.name
        console.rule(f"{self.experiment.system} on {self.experiment.corpus}: {name}")
        with EpochBars() as bars:
            self.results[name] = run_crossval(
                {row.recipe: row.config},
                self.feature_sets[row.config.spec],
                self.protocols[name],
                row.output,
                folds=self.folds,
                unlabelled_sets=sets if row.variant.unlabelled else (),
                command=provenance.command(),
                progress=bars,
            )

    def write_table(self, not_run: dict[str, str], changes: Sequence[str]) -> str:
        """Writes `table.md` and `table.json`, and returns the former's text."""
        from ser_keras.files import write_json, write_text

        facts = table_facts(self.experiment, self.results, not_run, changes)
        text = markdown(facts)
        write_json(self.folder / "table.json", facts)
        write_text(self.folder / "table.md", f"{text}\n")
        return text
