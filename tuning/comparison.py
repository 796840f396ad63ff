"""What a search was worth: recipe and best settings, scored once on test parts it never saw."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ser_keras import audit, metrics
from ser_keras.config import load_config
from ser_keras.data.feature_set import FeatureSet
from ser_keras.experiments.crossval import pooled_scores, run_crossval
from ser_keras.experiments.fold_runs import FoldProgress
from ser_keras.protocols import Protocol, choose_folds
from tuning.search import Search

BEFORE, AFTER = "recipe", "best"


def compare_on_test(
    search: Search,
    feature_set: FeatureSet,
    protocol: Protocol,
    output: Path,
    *,
    command: str = "",
    progress: FoldProgress | None = None,
) -> dict[str, Any]:
    """Trains the recipe and the best settings on the folds of a search and scores their test parts.

    Only these folds: validation speakers of one fold may be test speakers of another, on which
    settings that they chose would look better than they are.

    Args:
        search: one that has ended in `output`.
        feature_set: features of the corpus.
        protocol: the folds.
        output: Path. Of the search; the runs are in `test`. A killed run continues.
        command: what the user typed, for the record.
        progress: called as (run and fold, epoch, epochs, logs).

    Returns:
        dict ready for JSON: for "recipe" and "best" WA and UA with intervals over speakers, and
        "difference": UA of the best less that of the recipe, with the interval of that over
        speakers. Where the recipe is the best, it is trained once.

    Raises:
        LeakageError: who judged in one fold is tested in another, see `check_comparison`.
    """
    check_comparison(search, feature_set, protocol)
    configs = {
        BEFORE: load_config(search.space.recipe, ["select=last", *search.changes]),
        AFTER: load_config(output / "best.yaml"),
    }
    folders = {name: output / "test" / name for name in configs}
    if configs[BEFORE] == configs[AFTER]:
        folders[AFTER] = folders[BEFORE]
    comparison: dict[str, Any] = {}
    for name, config in configs.items():
        result = run_crossval(
            {BEFORE if folders[name] == folders[BEFORE] else name: config},
            feature_set,
            protocol,
            folders[name],
            folds=search.folds,
            searched=choose_folds(protocol, search.folds),
            command=command,
            progress=_named(progress, name),
        )
        kept = ("wa", "wa_interval", "ua", "ua_interval", "utterances", "speakers")
        comparison[name] = {key: result["pooled"][key] for key in kept}
    comparison["difference"] = _difference(folders, feature_set, protocol, search)
    return comparison


def check_comparison(search: Search, feature_set: FeatureSet, protocol: Protocol) -> None:
    """Raises LeakageError where the folds of a search cannot test what it finds.

    To be asked before the search, which takes hours.
    """
    folds = choose_folds(protocol, search.folds)
    audit.enforce(audit.audit_settings(folds, folds, feature_set.rows))


def _difference(
    folders: Mapping[str, Path], feature_set: FeatureSet, protocol: Protocol, search: Search
) -> list[float]:
    records = [{"fold": fold} for fold in search.folds]
    before, after = (pooled_scores(folders[name] / "folds", records) for name in (BEFORE, AFTER))
    speaker_of = {row.key: row.speaker for row in feature_set.rows}
    return list(
        metrics.speaker_difference(
            before["classes"],
            after["probabilities"].argmax(axis=1),
            before["probabilities"].argmax(axis=1),
            [speaker_of[key] for key in before["keys"]],
            len(protocol.class_set.classes),
        )
    )


def _named(progress: FoldProgress | None, run: str) -> FoldProgress | None:
    if progress is None:
        return None
    return lambda fold, *rest: progress(f"test of the {run}, {fold}", *rest)
