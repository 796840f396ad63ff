"""Finished runs side by side: what each says of itself, and which is better on the same speech."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras import metrics
from ser_keras.corpora import get_corpus
from ser_keras.errors import ConfigError, SchemaError
from ser_keras.report.results import baseline_of, floor_of, load_baselines, load_floors, read_json

AGAIN = "not recorded by the version that made this run; its command, given again, adds it"


@dataclass(frozen=True)
class Run:
    """One cross-validation that has ended.

    Args:
        name: str. Folder of the run, or file of the result.
        result: mapping. See `training.crossval.summarize_run`.
        calibration: mapping. See `training.calibration.calibrate_run`; empty where nobody did.
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

    Raises:
        ConfigError: a path twice, or no finished run there.
        SchemaError: the file there is none of a cross-validation.
    """
    if twice := [path for path in paths if paths.count(path) > 1]:
        raise ConfigError(f"{twice[0]}: given twice, expected each run once.")
    short = [path.name if path.is_dir() else path.stem for path in paths]
    names = [
        name if short.count(name) == 1 else path.as_posix()
        for name, path in zip(short, paths, strict=True)
    ]
    return [_open(path, name) for path, name in zip(paths, names, strict=True)]


def _open(path: Path, name: str) -> Run:
    file = path / "result.json" if path.is_dir() else path
    if not file.is_file():
        raise ConfigError(
            f"{path}: found no {'result.json' if path.is_dir() else 'file'}, expected the --output "
            "folder of a ser crossval that has ended, or a crossval-*.json. Run it first."
        )
    result = read_json(file)
    if not {"pooled", "folds", "protocol"} <= set(result):
        raise SchemaError(
            f"{file}: found no result of a cross-validation, expected what ser crossval writes."
        )
    calibration = calibration_path(file)
    return Run(name, result, read_json(calibration) if calibration.is_file() else {})


def calibration_path(result: Path) -> Path:
    """Returns where the calibration of a result lies: beside it.

    Example:
        >>> calibration_path(Path("results/crossval-a.json")).name
        'calibration-a.json'
    """
    name = result.name.replace("crossval-", "calibration-", 1)
    return result.with_name("calibration.json" if name == "result.json" else name)


def facts_of(runs: Sequence[Run], results_folder: Path) -> list[dict[str, Any]]:
    """Returns everything that a report says of each run, as values that JSON can hold.

    Args:
        runs: see `open_runs`.
        results_folder: where the published floors and those of `ser baseline` lie.
    """
    floors, baselines = load_floors(results_folder), load_baselines(results_folder)
    return [
        _facts(run, floor_of(floors, run.result), baseline_of(baselines, run.result))
        for run in runs
    ]


def _facts(run: Run, floor: str, svm: str) -> dict[str, Any]:
    result = run.result
    info = get_corpus(result["corpus"]).info
    copied = ("model", "settings", "dataset", "class_set", "protocol", "epoch_chosen_by", "pooled")
    made = ("over_folds", "cost", "weights", "features", "audit", "command", "versions", "commit")
    return {
        "run": run.name,
        **{key: result[key] for key in (*copied, *made)},
        "chance": 1 / len(run.classes),
        "floor_ua": float(floor) / 100 if floor else None,
        "svm_ua": float(svm) / 100 if svm else None,
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
    """Returns by how much each run's UA is above each later one's, tested over whole speakers.

    Both are scored on the same resampled speakers, see `metrics.speaker_difference`. Where they did
    not score the same utterances, "not_compared" says why.
    """
    return [
        {"run": one.name, "other": other.name} | _difference(one, other)
        for one, other in combinations(runs, 2)
    ]


def _difference(one: Run, other: Run) -> dict[str, Any]:
    if why := _not_the_same(one, other):
        return {"not_compared": why}
    (true, said, speakers), (_, other_said, _) = _answers(one.result), _answers(other.result)
    found, low, high = metrics.speaker_difference(
        true, said, other_said, speakers, len(one.classes)
    )
    return {
        "ua_difference": found,
        "interval": [low, high],
        "speakers": len(set(speakers)),
        "utterances": len(true),
    }


def _not_the_same(one: Run, other: Run) -> str:
    """Returns why two runs have not scored the same utterances, "" where they have."""
    first, second = one.result, other.result
    if first["dataset"] != second["dataset"]:
        return f"data {first['dataset']} and {second['dataset']}"
    if one.classes != other.classes:
        return f"classes {', '.join(one.classes)} and {', '.join(other.classes)}"
    if first["protocol"]["sha256"] != second["protocol"]["sha256"]:
        return f"other folds: {first['protocol']['name']} and {second['protocol']['name']}"
    if {fold["fold"] for fold in first["folds"]} != {fold["fold"] for fold in second["folds"]}:
        return "other folds of the protocol were run"
    for run in (one, other):
        if "by_speaker" not in run.result:
            return f"speakers of {run.name} {AGAIN}"
    # Recordings may have been dropped as too short, see `batch.drop_shorter_s`.
    if _answers(first)[0] != _answers(second)[0]:
        return "one left out recordings that the other scored"
    return ""


def _answers(result: Mapping[str, Any]) -> tuple[list[int], list[int], list[str]]:
    """Returns true classes, answers and speakers of all utterances, sorted by speaker and class."""
    cells = [
        (true, said, speaker, count)
        for speaker, counts in sorted(result["by_speaker"].items())
        for true, row in enumerate(counts)
        for said, count in enumerate(row)
    ]
    return (
        [true for true, _, _, count in cells for _ in range(count)],
        [said for _, said, _, count in cells for _ in range(count)],
        [speaker for _, _, speaker, count in cells for _ in range(count)],
    )


def latex_table(facts: Sequence[Mapping[str, Any]]) -> str:
    r"""Returns the scores as a LaTeX `tabular`, which needs no package; percentages.

    Args:
        facts: see `facts_of`.
    """
    lines = [
        "% UA with its 95 % interval over speakers, WA, macro-F1, chance and floors in percent.",
        r"\begin{tabular}{lllrrrrrrr}",
        r"\hline",
        r"model & data & protocol & UA & 95\,\% & WA & F1 & chance & floor & SVM \\",
        r"\hline",
    ]
    for each in facts:
        pooled, protocol = each["pooled"], each["protocol"]
        low, high = pooled["ua_interval"]
        run = f" ({protocol['folds_run']} of {protocol['folds']} folds)"
        some = "" if protocol["folds_run"] == protocol["folds"] else run
        words = [each["model"], each["dataset"], protocol["name"] + some]
        numbers = [
            percent(pooled["ua"]),
            f"{percent(low)}--{percent(high)}",
            *map(percent, (pooled["wa"], pooled["macro_f1"], each["chance"])),
            *map(percent, (each["floor_ua"], each["svm_ua"])),
        ]
        lines.append(" & ".join([*map(_latex, words), *numbers]) + r" \\")
    return "\n".join([*lines, r"\hline", r"\end{tabular}", ""])


def _latex(words: str) -> str:
    return "".join(f"\\{letter}" if letter in "_&%#$" else letter for letter in words)


def percent(share: float | None) -> str:
    """Returns a share in percent with one digit, "–" where there is none."""
    return "–" if share is None else f"{100 * share:.1f}"
