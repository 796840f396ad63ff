"""The papers' tables with the committed results of their own experiments beside them."""

from collections.abc import Mapping
from typing import Any

from docs.error_messages import ROOT


def papers_tables() -> str:
    """Returns the table of every experiment of a paper of which `results/` holds a row."""
    from pipeline.papers.experiments import EXPERIMENTS
    from pipeline.papers.tables import markdown, table_facts
    from ser_keras.report.results_folder import read_results

    results = read_results(ROOT / "results")["cross-validation"].values()
    tables = []
    for experiment in EXPERIMENTS:
        rows = {
            variant.name: result
            for variant in experiment.variants
            for result in results
            if _is_of(result, experiment, variant)
        }
        if rows:
            classes = next(iter(rows.values()))["class_set"]["name"]
            changes = [f"--classes {classes}"] if _other_classes(experiment, classes) else []
            missing = dict.fromkeys(
                (variant.name for variant in experiment.variants), "not run yet"
            )
            tables.append(markdown(table_facts(experiment, rows, missing, changes)))
    return "\n\n".join(tables)


def _is_of(result: Mapping[str, Any], experiment: Any, variant: Any) -> bool:
    """Whether a result is a row of a paper's table: its corpus, protocol and settings."""
    from ser_keras.config import load_config

    recipe = variant.recipe or experiment.recipe
    return (
        result["corpus"] == result["dataset"] == experiment.corpus
        and result["protocol"]["name"] == experiment.protocol
        and result["recipes"] == {recipe: load_config(recipe, variant.changes).to_dict()}
    )


def _other_classes(experiment: Any, name: str) -> bool:
    from ser_keras.corpora import get_corpus

    usual = experiment.class_set or next(iter(get_corpus(experiment.corpus).info.class_sets), name)
    return bool(usual != name)
