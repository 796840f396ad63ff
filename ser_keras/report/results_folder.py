"""A folder of results: where each kind of result is written, and how a folder is read again.

    results/<data>/<protocol>/<model>/ours.json      cross-validations; also paper.json, and
                                                     paper-head=gap.json where a recipe was changed;
                                                     ours-adapted.json on the adapted track,
                                                     ours-seed1.json and ours-adapted-seed1.json of
                                                     another seed than 0; ours-ravdess-joint.json
                                                     where RAVDESS was trained on, too;
                                                     ours-frames.json without functionals
    results/baselines/<data>/<protocol>/<features>-<kernel>-<track>.json
                                                     support vector machines of `ser baseline`
    results/crosscorpus/<data>-<data>/<model>.json   matrices of `ser crosscorpus`
    results/labels/<data>/<protocol>/<model>.json    curves of `ser label-curve`
    results/searches/<data>/<protocol>/<model>.json  searches of `ser tune`
    results/enrolment/<data>/<protocol>/<model>.json curves of `ser enrolment-curve`
    results/studies/<data>/<study>.json              studies of `ser study`
    results/ablations/<data>/<protocol>/<ablation>.json
                                                     `ser ablation`
    results/attended/<data>/<protocol>/<model>-<track>.json
                                                     `ser attended`
    results/sampled/<data>/<spec>.json               `ser sampled`
    results/attention/<data>/<spec>.json             `ser attention-statistics`
    results/benchmarks/<name>.json                   programs of `benchmarks/`

Pictures stand beside the JSON. The reader knows a kind by its keys, wherever the file is, so the
flat folders of earlier versions (`crossval-*.json`) are read as well.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ser_keras import files
from ser_keras.errors import ConfigError
from ser_keras.report.baselines import track_of
from ser_keras.report.variants import (
    for_one_track_alone,
    further_sets,
    on_frames_alone,
    seed_of,
    variant,
)

Result = Mapping[str, Any]
# Where the baselines of a folder of results are.
BASELINES = "baselines"


def result_path(folder: Path, result: Result) -> Path:
    """Returns where a cross-validation belongs.

    There is one file for each data, protocol, model, settings, further set, track and seed.

    Example:
        >>> result = {"dataset": "emodb", "protocol": {"name": "emodb-loso"}, "model": "moma"}
        >>> result_path(Path("results"), result | {"settings": "paper", "recipes": {}}).as_posix()
        'results/emodb/emodb-loso/moma/paper.json'
        >>> result |= {"settings": "ours", "track": "adapted", "recipes": {"moma": {"seed": 1}}}
        >>> result_path(Path("results"), result).as_posix()
        'results/emodb/emodb-loso/moma/ours-adapted-seed1.json'
        >>> result |= {"track": "blind", "recipes": {"moma": {"adaptation": {"blind_share": 1}}}}
        >>> result_path(Path("results"), result).as_posix()
        'results/emodb/emodb-loso/moma/ours-alone.json'
    """
    words = ["paper", *variant(result)] if result["settings"] == "paper" else ["ours"]
    if result["settings"] != "paper" and on_frames_alone(result):
        words.append("frames")
    words += further_sets(result)
    if track_of(result) != "blind":
        words.append(track_of(result))
    if for_one_track_alone(result):
        words.append("alone")
    if seed := seed_of(result):
        words.append(f"seed{seed}")
    protocol = result["protocol"]["name"]
    return _path(folder, result["dataset"], protocol, result["model"], "-".join(words))


def baseline_path(folder: Path, result: Result) -> Path:
    """Returns where a result of `ser baseline` belongs.

    Example:
        >>> result = {"dataset": "emodb", "protocol": {"name": "emodb-loso"}, "kernel": "rbf"}
        >>> result |= {"features": {"spec_name": "compare"}, "track": "blind"}
        >>> baseline_path(Path("results"), result).as_posix()
        'results/baselines/emodb/emodb-loso/compare-rbf-blind.json'
    """
    name = "-".join((result["features"]["spec_name"], result["kernel"], result["track"]))
    return _path(folder, BASELINES, result["dataset"], result["protocol"]["name"], name)


def crosscorpus_path(folder: Path, result: Result) -> Path:
    """Returns where a matrix of `ser crosscorpus` belongs."""
    return _path(folder, "crosscorpus", "-".join(result["datasets"]), result["model"])


def label_curve_path(folder: Path, result: Result) -> Path:
    """Returns where a curve of `ser label-curve` belongs."""
    protocol = result["protocol"]["name"]
    return _path(folder, "labels", result["dataset"], protocol, result["model"])


def search_path(folder: Path, result: Result) -> Path:
    """Returns where a result of `ser tune` belongs."""
    protocol = result["protocol"]["name"]
    return _path(folder, "searches", result["dataset"], protocol, result["model"])


def enrolment_path(folder: Path, result: Result) -> Path:
    """Returns where a result of `ser enrolment-curve` belongs."""
    name = result["model"] + (f"-seed{result['seed']}" if result["seed"] else "")
    return _path(folder, "enrolment", result["dataset"], result["protocol"]["name"], name)


def study_path(folder: Path, result: Result) -> Path:
    """Returns where a result of `ser study` belongs."""
    return _path(folder, "studies", result["dataset"], result["study"])


def ablation_path(folder: Path, result: Result) -> Path:
    """Returns where a result of `ser ablation` belongs."""
    protocol = result["protocol"]["name"]
    return _path(folder, "ablations", result["dataset"], protocol, result["ablation"])


def sampled_path(folder: Path, result: Result) -> Path:
    """Returns where a result of `ser sampled` belongs."""
    return _path(folder, "sampled", result["dataset"], result["spec"])


def attended_path(folder: Path, result: Result) -> Path:
    """Returns where a result of `ser attended` belongs."""
    name = f"{result['model']}-{result['track']}"
    return _path(folder, "attended", result["dataset"], result["protocol"]["name"], name)


def attention_path(folder: Path, result: Result) -> Path:
    """Returns where a result of `ser attention-statistics` belongs."""
    return _path(folder, "attention", result["dataset"], result["spec"])


def _path(folder: Path, *names: str) -> Path:
    """Returns a path of names in which only letters of file names are left."""
    # No name may lead out of the folder, as ".." does.
    plain = [re.sub("[^A-Za-z0-9_=.]+", "-", name).lstrip(".") or "-" for name in names]
    return folder.joinpath(*plain[:-1], f"{plain[-1]}.json")


@dataclass(frozen=True)
class Kind:
    """One kind of result.

    Args:
        keys: frozenset of str. A file with all of them is of this kind.
        path: function of folder and result. Where it is written.
    """

    keys: frozenset[str]
    path: Callable[[Path, Result], Path]


_SCORES = frozenset({"dataset", "protocol", "pooled", "folds"})
KINDS: Mapping[str, Kind] = {
    "cross-validation": Kind(_SCORES | {"model", "settings", "recipes"}, result_path),
    "baseline": Kind(_SCORES | {"features", "kernel", "track", "choice"}, baseline_path),
    "search": Kind(frozenset({"dataset", "protocol", "model", "trials", "strategy"}), search_path),
    "crosscorpus": Kind(frozenset({"datasets", "model", "cells"}), crosscorpus_path),
    "enrolment": Kind(
        frozenset({"dataset", "protocol", "model", "draws", "enrolments"}), enrolment_path
    ),
    "study": Kind(frozenset({"dataset", "study", "lines"}), study_path),
    "ablation": Kind(frozenset({"dataset", "protocol", "ablation", "levers"}), ablation_path),
    "attended": Kind(frozenset({"dataset", "protocol", "contours"}), attended_path),
    "scale": Kind(
        frozenset({"cpu_s_per_hour", "runs"}),
        lambda folder, _: _path(folder, "benchmarks", "scale"),
    ),
    "serving": Kind(
        frozenset({"systems", "machine"}), lambda folder, _: _path(folder, "benchmarks", "serving")
    ),
}
Results = Mapping[str, Mapping[Path, dict[str, Any]]]


def read_results(folder: Path, *, required: bool = False) -> Results:
    """Returns what a folder and those below it hold: for each of `KINDS`, its results by path.

    Of a result that is there twice, at its place in the tree and elsewhere, the former counts: the
    other is of an earlier version. Cross-validations are sorted by data, protocol and model.

    Args:
        folder: Path. It may be missing.
        required: bool. Whether a folder without a cross-validation is an error.

    Raises:
        ConfigError: there is no cross-validation, and one is required.
        SchemaError: a file is not JSON.
    """
    results: dict[str, dict[Path, dict[str, Any]]] = {kind: {} for kind in KINDS}
    origins: dict[Path, Path] = {}
    for path in sorted(folder.rglob("*.json")):
        result = read_json(path)
        kind = next((kind for kind in KINDS if _is_of(result, kind)), None)
        if kind is None:
            continue
        target = KINDS[kind].path(folder, result)
        if target not in origins or path == target:
            results[kind].pop(origins.get(target, target), None)
            results[kind][path] = result
            origins[target] = path
    if required and not results["cross-validation"]:
        raise ConfigError(
            f"{folder}: found no result of a cross-validation. "
            f"Run ser crossval ... --results {folder} first."
        )
    in_order = sorted(results["cross-validation"].items(), key=lambda item: _order(item[1]))
    results["cross-validation"] = dict(in_order)
    return results


def _is_of(result: Any, kind: str) -> bool:
    return isinstance(result, dict) and set(result) >= KINDS[kind].keys


def _order(result: Result) -> tuple[str, ...]:
    path = result_path(Path(), result)
    return (result["dataset"], result["protocol"]["name"], result["model"], path.stem)


def read_json(path: Path) -> Any:
    """Returns what a command has written.

    Raises:
        SchemaError: it is not JSON.
    """
    remedy = "Remove this file and give the command that wrote it again."
    return files.read_json(path, "what a command has written", remedy)
