"""The score of a system by its share of labels, with and without the unlabelled rest."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ser_keras.config import TrainConfig, config_from_dict
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError
from ser_keras.experiments.crossval import run_crossval
from ser_keras.experiments.fold_runs import FoldProgress
from ser_keras.models import model_entry, models_with
from ser_keras.protocols import Fold, Protocol

FRACTIONS = (0.05, 0.1, 0.25, 0.5, 1.0)
WITH, WITHOUT = "with the unlabelled", "labelled alone"


def run_label_curve(
    name: str,
    config: TrainConfig,
    feature_set: FeatureSet,
    protocol: Protocol,
    output: Path,
    *,
    fractions: Sequence[float] = FRACTIONS,
    folds: Sequence[str] = (),
    unlabelled_sets: Sequence[FeatureSet] = (),
    searched: Sequence[Fold] = (),
    command: str = "",
    progress: FoldProgress | None = None,
) -> dict[str, Any]:
    """Trains twice at every share of labels: with the rest as unlabelled speech, and without it.

    Both trainings have the same labelled utterances and number of steps. If the recipe chooses its
    epoch on validation speakers, they keep all their labels at every share, and "labelled" counts
    them, because somebody had to give these labels too. If nothing is unlabelled (all labels kept,
    and no other corpus) there is one training. The same call resumes a killed run.

    Args:
        name: of the recipe.
        config: the recipe; its `unlabelled.label_fraction` and `.use` are varied.
        feature_set: features of the corpus.
        protocol: the folds.
        output: Path. A folder per run inside.
        fractions: shares of the training utterances of each class that keep their labels.
        folds: names of the folds to run; all when empty.
        unlabelled_sets: features of other corpora, used together with the unlabelled rest.
        searched: folds on which a search chose the recipe's settings, see `searched_folds`.
        command: the command line, for the record.
        progress: called as (name of the training, epoch, epochs, logs).

    Returns:
        dict ready for JSON: "points", each with "fraction", "unlabelled" (`WITH` or `WITHOUT`),
        "labelled" (utterances with a label, mean over folds), "of_validation" (how many of them
        choose the epoch), "ua", "wa" and "ua_interval", pooled over folds.

    Raises:
        ConfigError: the recipe's model learns nothing from utterances without a label.
        SerError: as `run_crossval` does.
    """
    if not model_entry(config.model.name).takes_unlabelled:
        raise ConfigError(
            f"recipe {name}: model {config.model.name} learns from labels alone, expected "
            f"{' or '.join(models_with('takes_unlabelled'))}. Choose one of its recipes."
        )
    points = []
    for fraction in sorted(fractions):
        kinds = [WITHOUT] if fraction == 1.0 and not unlabelled_sets else [WITHOUT, WITH]
        for kind in kinds:
            about = f"{fraction:g}, {kind}"
            varied = config.to_dict()
            varied["unlabelled"] |= {"label_fraction": fraction, "use": kind == WITH}
            result = run_crossval(
                {name: config_from_dict(varied)},
                feature_set,
                protocol,
                output / about.replace(", ", "-").replace(" ", "-"),
                folds=folds,
                unlabelled_sets=unlabelled_sets if kind == WITH else (),
                searched=searched,
                command=command,
                progress=_about(progress, about),
            )
            points.append({"fraction": fraction, "unlabelled": kind, **_point(result)})
    # The runs share these facts, so they are those of the last run.
    shared = ("model", "settings", "track", "dataset", "class_set", "protocol", "epoch_chosen_by")
    facts = ("recipes", "features", "command", "versions", "commit")
    return {key: result[key] for key in (*shared, *facts)} | {
        "folds": [fold["fold"] for fold in result["folds"]],
        "unlabelled_corpora": [other.schema.name for other in unlabelled_sets],
        "points": points,
    }


def _point(result: dict[str, Any]) -> dict[str, Any]:
    sizes = [fold["sizes"] for fold in result["folds"]]
    labelled = [size["labelled"] + size["valid"] for size in sizes]
    return {
        "labelled": round(sum(labelled) / len(sizes), 1),
        "of_validation": round(sum(size["valid"] for size in sizes) / len(sizes), 1),
    } | {key: result["pooled"][key] for key in ("ua", "wa", "ua_interval")}


def _about(progress: FoldProgress | None, about: str) -> FoldProgress | None:
    if progress is None:
        return None
    return lambda fold, epoch, epochs, logs: progress(f"{fold} ({about})", epoch, epochs, logs)
