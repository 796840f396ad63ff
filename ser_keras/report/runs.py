"""Finished runs side by side: the facts of each, and their differences on the same speech."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras import metrics
from ser_keras.corpora import corpus_facts
from ser_keras.errors import ConfigError, SchemaError
from ser_keras.experiments.provenance import BLIND_RESULT
from ser_keras.report.baselines import (
    baseline_facts,
    difference_in_words,
    paired_difference,
    predictions,
    track_of,
)
from ser_keras.report.percent import interval, percent
from ser_keras.report.results_folder import (
    BASELINES,
    KINDS,
    read_json,
    read_results,
    result_path,
)

NOT_RECORDED = "not recorded by the version that made this run; its command, given again, adds it"


@dataclass(frozen=True)
class Run:
    """One cross-validation that has ended.

    Args:
        name: str. Name of the run's folder, or of the result's file.
        result: mapping. See `experiments.crossval.run_crossval`.
        calibration: mapping. See `experiments.calibration.calibrate_run`; empty without one.
    """

    name: str
    result: Mapping[str, Any]
    calibration: Mapping[str, Any]

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in order."""
        return self.result["class_set"]["classes"]


def open_runs(paths: Sequence[Path]) -> list[Run]:
    """Returns the runs in folders of `ser train` and `ser crossval`, or in files of `results/`.

    A folder whose run was scored on both tracks counts as two runs.

    Raises:
        ConfigError: a path twice, or no finished run there.
        SchemaError: the file there is none of a cross-validation.
    """
    if repeated := [path for path in paths if paths.count(path) > 1]:
        raise ConfigError(f"{repeated[0]}: given twice, expected each run once.")
    opened = [(path, file, _read(file)) for path in paths for file in _files(path)]
    names = [_name(path, file, result) for path, file, result in opened]
    return [
        Run(
            name if names.count(name) == 1 else _in_full(path, file),
            result,
            read_json(calibration) if (calibration := calibration_path(file)).is_file() else {},
        )
        for name, (path, file, result) in zip(names, opened, strict=True)
    ]


def _files(path: Path) -> list[Path]:
    """Returns the files of results that a path means."""
    file = path / "result.json" if path.is_dir() else path
    if not file.is_file():
        raise ConfigError(
            f"{path}: found no {'result.json' if path.is_dir() else 'file'}, expected the --output "
            "folder of a ser crossval that has ended, or a file of its --results. Run it first."
        )
    other = path / BLIND_RESULT
    return [file, other] if path.is_dir() and other.is_file() else [file]


def _read(file: Path) -> Mapping[str, Any]:
    result = read_json(file)
    if not isinstance(result, dict) or not {"pooled", "folds", "protocol"} <= set(result):
        raise SchemaError(
            f"{file}: found no result of a cross-validation, expected what ser crossval writes."
        )
    return result


def _name(path: Path, file: Path, result: Mapping[str, Any]) -> str:
    """Returns the folder's name, or the file's; in a tree of results with the folders above it."""
    if path.is_dir():
        return path.name + _track_suffix(file)
    tree = result_path(Path(), result).parts
    depth = len(tree) if path.parts[-len(tree) :] == tree else 1
    return Path(*path.parts[-depth:]).with_suffix("").as_posix()


def _in_full(path: Path, file: Path) -> str:
    return path.as_posix() + _track_suffix(file)


def _track_suffix(file: Path) -> str:
    return ", blind" if file.name == BLIND_RESULT else ""


def calibration_path(result: Path) -> Path:
    """Returns where the calibration of a result lies: beside it.

    Example:
        >>> calibration_path(Path("results/emodb/emodb-loso/moma/ours.json")).name
        'ours-calibration.json'
    """
    if result.name == "result.json":
        return result.with_name("calibration.json")
    if result.name.startswith("crossval-"):
        # In flat folders of earlier versions.
        return result.with_name(result.name.replace("crossval-", "calibration-", 1))
    return result.with_name(f"{result.stem}-calibration.json")


def baselines_in(paths: Iterable[Path]) -> list[Mapping[str, Any]]:
    """Returns the results of `ser baseline` in folders, which may be missing, and in files.

    Raises:
        SchemaError: a file is no result of `ser baseline`.
    """
    known: list[Mapping[str, Any]] = []
    for path in paths:
        if path.is_file():
            result = read_json(path)
            if not isinstance(result, dict) or not KINDS["baseline"].keys <= set(result):
                raise SchemaError(
                    f"{path}: found no result of a baseline, expected what ser baseline --results "
                    "writes."
                )
            known.append(result)
        else:
            # Reading everything that lies beside the baselines takes longer than the report.
            kept = path / BASELINES
            known += read_results(kept if kept.is_dir() else path)["baseline"].values()
    return known


def facts_of(
    runs: Sequence[Run], baselines: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Returns the facts of a report about each run, as values that JSON can hold.

    Args:
        runs: see `open_runs`.
        baselines: results of `ser baseline`.
    """
    return [_facts(run, baseline_facts(baselines, run.result)) for run in runs]


def _facts(run: Run, baseline: Mapping[str, Any] | None) -> dict[str, Any]:
    result = run.result
    info = corpus_facts(result["corpus"])
    copied = ("model", "settings", "dataset", "class_set", "protocol", "epoch_chosen_by", "pooled")
    origin = ("over_folds", "cost", "weights", "features", "audit", "command", "versions", "commit")
    return {
        "run": run.name,
        **{key: result[key] for key in (*copied, *origin)},
        "track": track_of(result),
        "chance": 1 / len(run.classes),
        "baseline": baseline,
        "speakers": speaker_scores(result),
        "reliability": result.get("reliability"),
        "calibration": dict(run.calibration),
        "data": {
            "title": info.title,
            "licence": info.licence,
            "citation": info.citation,
            "home": info.home,
        },
        "folds": [
            {key: fold[key] for key in ("fold", "recipe", "sizes", "ua", "wa", "epoch")}
            for fold in result["folds"]
        ],
    }


def speaker_scores(result: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns "utterances", "ua" and "recalls" by class (None where absent) of each test speaker.

    Empty where the run did not record its speakers.
    """
    classes = result["class_set"]["classes"]
    return {
        speaker: {
            "utterances": int(np.sum(counts)),
            "ua": metrics.unweighted_accuracy_of(counts),
            "recalls": {
                name: None if np.isnan(recall) else float(recall)
                for name, recall in zip(classes, metrics.recalls_of(counts), strict=True)
            },
        }
        for speaker, counts in result.get("by_speaker", {}).items()
    }


def differences(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Returns the difference in UA between each run and each later one, tested over speakers.

    Both are scored on the same resampled speakers, see `metrics.speaker_difference`. Where they did
    not score the same utterances, "not_compared" says why.
    """
    return [
        {"run": first.name, "other": second.name} | _difference(first, second)
        for first, second in combinations(runs, 2)
    ]


def _difference(first: Run, second: Run) -> dict[str, Any]:
    if reason := _not_comparable(first, second):
        return {"not_compared": reason}
    difference = paired_difference([first.result["by_speaker"]], second.result["by_speaker"])
    if difference is None:
        # Recordings may have been dropped as too short, see `batch.drop_shorter_s`.
        return {"not_compared": "one left out recordings that the other scored"}
    true, _, speakers = predictions(first.result["by_speaker"])
    return {
        "ua_difference": difference[0],
        "interval": difference[1:],
        "speakers": len(set(speakers)),
        "utterances": len(true),
    }


def _not_comparable(first: Run, second: Run) -> str:
    """Returns why two runs have not scored the same utterances, "" where they have."""
    result, other = first.result, second.result
    if result["dataset"] != other["dataset"]:
        return f"data {result['dataset']} and {other['dataset']}"
    if first.classes != second.classes:
        return f"classes {', '.join(first.classes)} and {', '.join(second.classes)}"
    if result["protocol"]["sha256"] != other["protocol"]["sha256"]:
        return f"other folds: {result['protocol']['name']} and {other['protocol']['name']}"
    if {fold["fold"] for fold in result["folds"]} != {fold["fold"] for fold in other["folds"]}:
        return "other folds of the protocol were run"
    for run in (first, second):
        if "by_speaker" not in run.result:
            return f"speakers of {run.name} {NOT_RECORDED}"
    return ""


def latex_table(facts: Sequence[Mapping[str, Any]]) -> str:
    r"""Returns the scores in percent as a LaTeX `tabular`, which needs no package.

    Args:
        facts: see `facts_of`.
    """
    lines = [
        "% UA with its 95 % interval over speakers, WA, macro-F1, chance and baseline in percent;",
        "% the last column: UA above the baseline in points, paired over speakers.",
        r"\begin{tabular}{llllrrrrrrr}",
        r"\hline",
        r"model & data & protocol & track & UA & 95\,\% & WA & F1 & chance & baseline & above \\",
        r"\hline",
    ]
    for fact in facts:
        pooled, protocol = fact["pooled"], fact["protocol"]
        folds = f" ({protocol['folds_run']} of {protocol['folds']} folds)"
        partial = "" if protocol["folds_run"] == protocol["folds"] else folds
        words = [fact["model"], fact["dataset"], protocol["name"] + partial, fact["track"]]
        baseline = fact["baseline"]
        numbers = [
            percent(pooled["ua"]),
            interval(pooled["ua_interval"], pooled.get("speakers")).replace(" – ", "--"),
            *map(percent, (pooled["wa"], pooled["macro_f1"], fact["chance"])),
            percent(baseline["ua"] if baseline else None),
            difference_in_words(baseline).replace(" – ", " to ") or percent(None),
        ]
        lines.append(" & ".join([*map(_latex, words), *numbers]) + r" \\")
    return "\n".join([*lines, r"\hline", r"\end{tabular}", ""])


def _latex(words: str) -> str:
    return "".join(f"\\{letter}" if letter in "_&%#$" else letter for letter in words)
