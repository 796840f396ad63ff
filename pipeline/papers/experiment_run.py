"""One run of a paper's experiment: its rows checked, trained and written into a table."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.papers.experiment import Experiment
from pipeline.papers.tables import markdown, table_facts
from ser_keras.cli.console import console

if TYPE_CHECKING:
    from pipeline.papers.checks import PlannedRow
    from ser_keras.data.feature_set import FeatureSet
    from ser_keras.protocols import Protocol


class ExperimentRun:
    """Runs one experiment on a corpus: checks all rows, trains them and writes the table.

    Args:
        experiment: the paper's experiment.
        data_dir: Path. Folder of the corpus.
        folder: Path. Folder for features, runs and the table.
        folds: names of the folds to run; all when empty.
        class_set: str or None. Name of a class set; the protocol's own when None.
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
        self, rows: Sequence["PlannedRow"], sets: Sequence["FeatureSet"], *, allow_partial: bool
    ) -> None:
        """Checks that every row can be trained, and computes missing features.

        Raises:
            SerError: something that a row needs is missing or does not fit.
        """
        from rich.progress import track

        from pipeline.papers.checks import check_data, check_model
        from ser_keras.corpora import read_corpus
        from ser_keras.protocols import build_protocol, choose_folds

        corpus = self.experiment.corpus
        with console.status(f"reading the list of {corpus}"):
            utterances = read_corpus(corpus, self.data_dir, allow_partial=allow_partial)
            # Classes and folds are checked before the features, which take hours.
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
        """Computes the features of a spec, or opens those computed before."""
        from pipeline.cli.progress import JobProgress
        from pipeline.features.job import build_feature_set
        from ser_keras.data.feature_set import FeatureSet
        from ser_keras.features.specs import get_spec

        if spec in self.feature_sets:
            return
        with JobProgress() as progress:
            path = build_feature_set(
                self.experiment.corpus,
                self.data_dir,
                get_spec(spec),
                self.folder / "features" / spec,
                allow_partial=allow_partial,
                progress=progress,
            )
        self.feature_sets[spec] = FeatureSet.open(path)

    def load_results(self, rows: Sequence["PlannedRow"]) -> None:
        """Loads the results of earlier calls with the same settings and folds."""
        from pipeline.papers.checks import finished_result

        for row in rows:
            for protocol in self.protocols.values():
                if result := finished_result(row.output, row.config, row.recipe, protocol):
                    self.results[row.variant.name] = result

    def train_rows(
        self,
        rows: Sequence["PlannedRow"],
        sets: Sequence["FeatureSet"],
        not_run: dict[str, str],
        changes: Sequence[str],
    ) -> str:
        """Trains the rows and writes the table after each; returns the text of `table.md`."""
        for row in rows:
            self.train(row, sets)
            self.write_table(not_run, changes)
        return self.write_table(not_run, changes)

    def train(self, row: "PlannedRow", sets: Sequence["FeatureSet"]) -> None:
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
        """Writes `table.md` and `table.json`, and returns the text of `table.md`."""
        from ser_keras.files import write_json, write_text

        facts = table_facts(self.experiment, self.results, not_run, changes)
        text = markdown(facts)
        write_json(self.folder / "table.json", facts)
        write_text(self.folder / "table.md", f"{text}\n")
        return text
