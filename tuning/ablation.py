"""Ablations: a recipe with one lever changed at a time, scored on the same test parts as itself.

Nothing is chosen by an ablation. It says what a recipe that is fixed owes to each of its parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ser_keras.config import TrainConfig, load_config
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, unknown_name
from ser_keras.experiments import provenance
from ser_keras.experiments.crossval import run_crossval
from ser_keras.experiments.fold_runs import FoldProgress
from ser_keras.experiments.provenance import class_set_dict, protocol_facts
from ser_keras.files import parse_yaml, write_json
from ser_keras.protocols import Protocol
from ser_keras.report.baselines import paired_difference
from ser_keras.report.results_folder import read_json

# The recipe without a change, which comes first.
AS_IT_IS = "as it is"


@dataclass(frozen=True)
class Ablation:
    """An ablation: the recipe, and what each lever changes of it.

    Args:
        name: str.
        recipe: str. Name or file.
        levers: mapping of lever to the keys that it changes, with their values.
    """

    name: str
    recipe: str
    levers: Mapping[str, Mapping[str, Any]]


def ablation_names() -> list[str]:
    """Returns the ablations there are."""
    folder = resources.files("tuning") / "ablations"
    return sorted(file.name.removesuffix(".yaml") for file in folder.iterdir())


def load_ablation(name: str, recipe: str | None = None, only: Sequence[str] = ()) -> Ablation:
    """Returns an ablation, of its own recipe or of another one.

    Args:
        name: str. One of `ablation_names()`.
        recipe: str or None. Name or file; the ablation's own where None.
        only: levers. Others are left out; all stay when empty.

    Raises:
        ConfigError: no such ablation or lever, or a key or value that the recipe cannot have.

    Example:
        >>> load_ablation("speaker", only=["averaged weights"]).levers
        {'averaged weights': {'optimizer.ema': 0.99}}
    """
    if name not in ablation_names():
        raise ConfigError(unknown_name("ablation", name, ablation_names()))
    text = (resources.files("tuning") / "ablations" / f"{name}.yaml").read_text(encoding="utf-8")
    values = parse_yaml(text)
    levers = values["levers"]
    for lever in only:
        if lever not in levers:
            raise ConfigError(unknown_name(f"lever of ablation {name}", lever, levers))
    levers = {lever: levers[lever] for lever in only} or levers
    ablation = Ablation(name, recipe or values["recipe"], levers)
    for changes in levers.values():
        _config(ablation.recipe, changes, ())
    return ablation


def run_ablation(
    ablation: Ablation,
    feature_set: FeatureSet,
    protocol: Protocol,
    output: Path,
    *,
    folds: Sequence[str] = (),
    joint_sets: Sequence[FeatureSet] = (),
    changes: Sequence[str] = (),
    command: str = "",
    progress: FoldProgress | None = None,
) -> dict[str, Any]:
    """Cross-validates the recipe as it is and with each lever; continues after a kill.

    Args:
        ablation: the recipe and its levers.
        feature_set: features of the corpus.
        protocol: the folds.
        output: Path. A run for each lever inside, as `run_crossval` writes them.
        folds: names of the folds; all when empty.
        joint_sets: for a lever that trains on joint corpora; it is left out without them.
        changes: `key=value`, of every training.
        command: what the user typed, for the record.
        progress: called as (lever and fold, epoch, epochs, logs).

    Returns:
        dict ready for JSON, also in `ablation.json`: "levers", each with what it "changes" and its
        "tracks": UA, and by how much it is above the recipe as it is, with the ends of the 95 %
        interval from resampling the "speakers".

    Raises:
        LeakageError: the audit found a leak.
        ConfigError: an unknown fold or key, or features that the recipe is not made for.
        SchemaError: `output` holds another ablation.
    """
    rows = []
    results: dict[str, dict[str, Mapping[str, Any]]] = {}
    for lever, lever_changes in {AS_IT_IS: {}, **ablation.levers}.items():
        config = _config(ablation.recipe, lever_changes, changes)
        joint = joint_sets if config.adaptation.joint_share else ()
        if config.adaptation.joint_share and not joint:
            continue
        folder = output / lever.replace(" ", "-")
        run_crossval(
            {Path(ablation.recipe).stem: config},
            feature_set,
            protocol,
            folder,
            folds=folds,
            joint_sets=joint,
            command=command,
            progress=_titled(progress, lever),
        )
        results[lever] = _by_track(folder)
        rows.append(
            {"lever": lever, "changes": dict(lever_changes)}
            | {"tracks": _compared(results[lever], results[AS_IT_IS])}
        )
    result = {
        "ablation": ablation.name,
        "recipe": ablation.recipe,
        "changes": list(changes),
        "dataset": feature_set.schema.name,
        "class_set": class_set_dict(protocol.class_set),
        "protocol": protocol_facts(protocol),
        "folds": list(folds) or [fold.name for fold in protocol.folds],
        "levers": rows,
        "command": command,
        "versions": provenance.versions(),
        "commit": provenance.git_commit(),
    }
    write_json(output / "ablation.json", result)
    return result


def _config(recipe: str, lever: Mapping[str, Any], changes: Sequence[str]) -> TrainConfig:
    return load_config(recipe, [*changes, *(f"{key}={value}" for key, value in lever.items())])


def _titled(progress: FoldProgress | None, lever: str) -> FoldProgress | None:
    if progress is None:
        return None
    return lambda fold, *rest: progress(f"{lever}, {fold}", *rest)


def _by_track(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Returns the results of a run by track."""
    paths = [folder / name for name in ("result.json", "result-blind.json")]
    results = [read_json(path) for path in paths if path.exists()]
    return {result["track"]: result for result in results}


def _compared(
    results: Mapping[str, Mapping[str, Any]], as_it_is: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Returns UA and difference to the recipe as it is, by track."""
    return {
        track: {
            "ua": result["pooled"]["ua"],
            "difference": paired_difference(
                [result["by_speaker"]], as_it_is.get(track, {}).get("by_speaker", {})
            ),
            "speakers": len(result["by_speaker"]),
        }
        for track, result in results.items()
    }
