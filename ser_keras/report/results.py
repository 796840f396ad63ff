"""Results on disk -> tables. The README's numbers are written here and nowhere else."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras import metrics
from ser_keras.config import load_config, recipe_names
from ser_keras.errors import ConfigError, SchemaError
from ser_keras.files import write_text
from ser_keras.report.benchmarks import BENCHMARKS
from ser_keras.training.history import kept_epoch

RESULTS = "results"
SETTINGS = {"paper": "the paper's", "ours": "ours"}


def load_results(folder: Path) -> list[dict[str, Any]]:
    """Returns the cross-validation results in `folder`, sorted by dataset, protocol and model.

    Raises:
        ConfigError: the folder is missing or holds no result.
        SchemaError: a file is not JSON.
    """
    paths = sorted(folder.glob("crossval-*.json"))
    if not paths:
        raise ConfigError(
            f"{folder}: found no crossval-*.json. Run ser crossval ... --results {folder} first."
        )
    results = [read_json(path) for path in paths]
    return sorted(
        results,
        key=lambda r: (r["dataset"], r["protocol"]["name"], r["model"], result_path(folder, r)),
    )


def read_json(path: Path) -> dict[str, Any]:
    """Returns what a command has written.

    Raises:
        SchemaError: it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise SchemaError(
            f"{path}: not readable as JSON ({error}). Run its command again."
        ) from None


def result_path(folder: Path, result: Mapping[str, Any]) -> Path:
    """Returns where a result belongs: one file for each dataset, protocol, model and its settings.

    Example:
        >>> result = {"dataset": "emodb", "protocol": {"name": "emodb-loso"}, "model": "moma"}
        >>> result_path(Path("results"), result | {"settings": "paper", "recipes": {}}).name
        'crossval-emodb-emodb-loso-moma-paper.json'
    """
    words = [result["dataset"], result["protocol"]["name"], result["model"]]
    if result["settings"] == "paper":
        words += ["paper", *variant(result)]
    return folder / f"crossval-{re.sub('[^a-z0-9_=.]+', '-', '-'.join(words))}.json"


# The keys whose change makes another row of a paper's table, and not another training of the same.
VARIANT_SECTIONS = ("spec", "model", "objective", "unlabelled", "batch", "select", "precision")


def variant(result: Mapping[str, Any]) -> list[str]:
    """Returns what tells a run from its paper's recipe: `head=gap`, `ravdess unlabelled`.

    Epochs are no variant: a run with fewer of them is not complete, see `is_complete`.
    """
    words = []
    for name, run in result["recipes"].items():
        if name not in recipe_names():
            continue
        if name != result["model"]:
            words.append(name.removeprefix(result["model"]).strip("-"))
        recipe = _leaves(load_config(name).to_dict())
        words += [
            f"{key.rpartition('.')[2]}={str(value).lower()}"
            for key, value in sorted(_leaves(run).items())
            if key.startswith(VARIANT_SECTIONS) and recipe.get(key) != value
        ]
    sets = {
        other["dataset"]
        for fold in result.get("folds", ())
        for other in fold.get("unlabelled_sets", ())
    }
    return [*words, *(f"{name} unlabelled" for name in sorted(sets))]


def _leaves(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested mappings as one, from keys such as `model.options.head`."""
    leaves: dict[str, Any] = {}
    for key, value in values.items():
        nested = isinstance(value, Mapping)
        leaves |= _leaves(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return leaves


def is_complete(result: Mapping[str, Any]) -> bool:
    """Whether every fold was trained for all epochs of its recipe, or until early stopping."""
    for fold in result["folds"]:
        name = fold.get("recipe", next(iter(result["recipes"])))
        run = result["recipes"][name]
        asked = load_config(name).epochs if name in recipe_names() else run["epochs"]
        epochs = len(fold["history"])
        stopped = run["select"] == "validation" and (
            epochs - 1 - kept_epoch(fold["history"]) >= run["patience"]
        )
        if run["epochs"] < asked or (epochs < asked and not stopped):
            return False
    return True


def speakers_tested(result: Mapping[str, Any]) -> int:
    """Returns how many speakers the folds of a result tested; of one alone there is no interval."""
    return len({name for fold in result["folds"] for name in fold["test_speakers"]})


def load_floors(folder: Path) -> list[dict[str, Any]]:
    """Returns the reference floors of `floors.json`; an empty list where there is none."""
    path = folder / "floors.json"
    return read_json(path)["floors"] if path.exists() else []


def load_baselines(folder: Path) -> list[dict[str, Any]]:
    """Returns what `ser baseline --results` has left in `folder`."""
    return [read_json(path) for path in sorted(folder.glob("baseline-*.json"))]


def floor_of(floors: Iterable[Mapping[str, Any]], result: Mapping[str, Any]) -> str:
    """Returns the reference floor's UA for a result's dataset and protocol, "" if there is none."""
    wanted = (result["dataset"], result["protocol"]["name"])
    return next(
        (
            f"{floor['ua']:.1f}"
            for floor in floors
            if wanted == (floor["dataset"], floor["protocol"])
        ),
        "",
    )


def baseline_of(baselines: Iterable[Mapping[str, Any]], result: Mapping[str, Any]) -> str:
    """Returns the SVM's UA on the very folds of a result, "" where it was not measured."""
    wanted = (result["dataset"], result["protocol"]["sha256"])
    folds = {fold["fold"] for fold in result["folds"]}
    for baseline in baselines:
        if wanted == (baseline["dataset"], baseline["protocol"]["sha256"]):
            counts = [one["confusion"] for one in baseline["folds"] if one["fold"] in folds]
            return _percent(metrics.unweighted_accuracy_of(np.sum(counts, axis=0)))
    return ""


def table(
    results: Iterable[Mapping[str, Any]],
    floors: Iterable[Mapping[str, Any]] = (),
    baselines: Iterable[Mapping[str, Any]] = (),
) -> str:
    """Returns the Markdown table of results, each beside its floor.

    WA and UA are pooled over all test utterances, in percent; the interval is the 95 % one of
    resampling speakers.
    """
    floors, baselines = list(floors), list(baselines)
    lines = [
        "| data | protocol | model | settings | UA | 95 % over speakers | WA | UA over folds "
        "| floor UA | SVM UA, same folds | chance | epoch chosen by | parameters |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        _row(result, floor_of(floors, result), baseline_of(baselines, result)) for result in results
    ]
    return "\n".join(lines)


def table_of(folder: Path) -> str:
    """Returns the table of everything in a folder of results."""
    return table(load_results(folder), load_floors(folder), load_baselines(folder))


def _row(result: Mapping[str, Any], floor: str, baseline: str) -> str:
    pooled, protocol = result["pooled"], result["protocol"]
    classes = len(result["class_set"]["classes"])
    low, high = pooled["ua_interval"]
    folds = result["over_folds"]["ua"]
    run = protocol["folds_run"]
    some = "" if run == protocol["folds"] else f" ({run} of {protocol['folds']} folds)"
    shared = ", speakers shared" if protocol["shares_speakers"] else ""
    cells = [
        f"{result['dataset']}, {classes} classes",
        f"`{protocol['name']}`{some}{shared}",
        f"`{result['model']}`",
        _settings(result),
        f"**{_percent(pooled['ua'])}**",
        f"{_percent(low)} – {_percent(high)}" if speakers_tested(result) > 1 else "one speaker",
        _percent(pooled["wa"]),
        f"{_percent(folds['mean'])} ± {_percent(folds['std'])}" if run > 1 else "one fold",
        floor,
        baseline,
        _percent(1 / classes),
        {"validation": "validation part", "last": "fixed in advance"}[result["epoch_chosen_by"]],
        f"{result['cost']['parameters'] / 1e6:.2f} M",
    ]
    return f"| {' | '.join(cells)} |"


def _settings(result: Mapping[str, Any]) -> str:
    """Returns whose settings they are, with what was cut: `ours, 5 of 60 epochs`."""
    words = [SETTINGS[result["settings"]]]
    if result["settings"] == "paper":
        words += variant(result)
    if result["chosen"]:
        words.append("chosen per fold")
    for name in sorted(set(result["recipes"]) & set(recipe_names())):
        run, asked = result["recipes"][name]["epochs"], load_config(name).epochs
        if run < asked:
            words.append(f"{run} of {asked} epochs")
    return ", ".join(words)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def write_readme(readme: Path, results_folder: Path) -> bool:
    """Puts the tables between the README's markers and returns whether that changed anything.

    All but that of the results are written only where it has markers for them.

    Raises:
        SchemaError: the markers of the results are missing.
    """
    text = new = readme.read_text(encoding="utf-8")
    for name, body in sections(results_folder).items():
        begin, end = markers(name)
        before, found_begin, rest = new.partition(begin)
        _, found_end, after = rest.partition(end)
        if found_begin and found_end:
            new = f"{before}{begin}\n{body}\n{end}{after}"
        elif found_begin or name == RESULTS:
            raise SchemaError(
                f"{readme}: found no pair of markers; put {begin!r} and {end!r} there."
            )
    if new == text:
        return False
    write_text(readme, new)
    return True


def markers(name: str) -> tuple[str, str]:
    """Returns what stands before and after a part of the README that is written here."""
    return f"<!-- {name}: written by `ser report --readme` -->", f"<!-- end of {name} -->"


def sections(results_folder: Path) -> dict[str, str]:
    """Returns the parts of the README that come from a folder of results, by name."""
    made = {RESULTS: table_of(results_folder)}
    if searches := _searches(results_folder):
        made["searches"] = describe_searches(searches)
    for name, describe_benchmark in BENCHMARKS.items():
        path = results_folder / f"{name}_benchmark.json"
        if path.exists():
            made[name] = describe_benchmark(read_json(path))
    return made


def _searches(results_folder: Path) -> list[dict[str, Any]]:
    found = map(read_json, sorted(results_folder.glob("search-*.json")))
    return [result for result in found if "test" in result]


def describe_searches(results: Sequence[Mapping[str, Any]]) -> str:
    """Returns the Markdown table of what searches found: UA on test speakers, in percent."""
    lines = [
        "| data | folds | model | trials, epochs each | recipe | best found | difference |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        before, after = result["test"]["recipe"], result["test"]["best"]
        # Nothing is not less than nothing.
        gain, low, high = (f"{round(100 * v, 1) + 0:+.1f}" for v in result["test"]["difference"])
        speakers = before["speakers"]
        over = f" ({low} – {high})" if speakers > 1 else ", one speaker"
        changes = ", ".join(result["changes"])
        cells = [
            f"{result['dataset']}, {len(result['class_set']['classes'])} classes",
            f"`{result['protocol']['name']}` {', '.join(result['folds'])}",
            f"`{result['model']}`{f' with {changes}' if changes else ''}",
            f"{len(result['trials'])}, {result['trial_epochs'] or 'all'}",
            *(
                _with_interval(scores) if speakers > 1 else _percent(scores["ua"])
                for scores in (before, after)
            ),
            f"{gain}{over}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def describe(result: Mapping[str, Any]) -> str:
    """Returns one result as a few sentences for the terminal."""
    pooled, protocol = result["pooled"], result["protocol"]
    classes = result["class_set"]["classes"]
    low, high = pooled["ua_interval"]
    recalls = ", ".join(
        f"{name} {'absent' if value is None else _percent(value)}"
        for name, value in pooled["recalls"].items()
    )
    speakers = "SHARED" if protocol["shares_speakers"] else "not shared"
    beside = "".join(f"{line}\n" for line in _describe_unlabelled(result["folds"]))
    return (
        f"{result['model']} on {result['dataset']} ({len(classes)} classes), {protocol['name']}, "
        f"{protocol['folds_run']} of {protocol['folds']} folds; speakers {speakers} between "
        f"training and test.\n"
        f"UA {_percent(pooled['ua'])} (95 % over speakers {_percent(low)} to {_percent(high)}; "
        f"chance {_percent(1 / len(classes))}), WA {_percent(pooled['wa'])}, "
        f"macro-F1 {_percent(pooled['macro_f1'])}.\n"
        f"Recalls: {recalls}.\n{beside}"
        f"Parameters {result['cost']['parameters']:,}, multiply-accumulates "
        f"{result['cost']['multiply_accumulates']:,} at {result['cost']['at_frames']} frames; "
        f"trained in {result['cost']['train_seconds']:.0f} s from "
        f"{result['weights']['initialisation']} weights; "
        f"epoch chosen by {result['epoch_chosen_by']}."
    )


def _describe_unlabelled(folds: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yields a sentence for each unlabelled set: what was trained on and what was left out."""
    sets = [other for fold in folds for other in fold.get("unlabelled_sets", ())]
    for name in dict.fromkeys(other["dataset"] for other in sets):
        own = [other for other in sets if other["dataset"] == name]
        trained = sum(other["trained_on"] for other in own) / len(own)
        left = sum(len(keys) for other in own for keys in other["dropped"].values()) / len(own)
        yield (
            f"Unlabelled, of {name}: {trained:g} utterances, mean over folds; {left:g} left out, "
            "which are in the test part or where the epoch is chosen, or of a speaker who is there."
        )


def describe_label_curve(result: Mapping[str, Any]) -> str:
    """Returns the Markdown table of UA by share of labels, in percent."""
    kinds = sorted({point["unlabelled"] for point in result["points"]})
    lines = [f"| labels | {' | '.join(kinds)} |", "|---|" + len(kinds) * "---|"]
    found = {(point["fraction"], point["unlabelled"]): point for point in result["points"]}
    for fraction in sorted({fraction for fraction, _ in found}):
        points = [found.get((fraction, kind)) for kind in kinds]
        labelled = next(point["labelled"] for point in points if point)
        cells = ["" if point is None else _percent(point["ua"]) for point in points]
        lines.append(f"| {100 * fraction:g} % ({labelled:g}) | {' | '.join(cells)} |")
    if of_validation := next((p.get("of_validation") for p in result["points"]), 0):
        lines += [
            "",
            "Shares are of the training utterances. In brackets: all utterances with a label, "
            f"{of_validation:g} of them of the validation speakers, who choose the epoch and keep "
            "all their labels at every share.",
        ]
    return "\n".join(lines)


def describe_crosscorpus(result: Mapping[str, Any]) -> str:
    """Returns the Markdown matrix of UA by training and tested corpus, in percent."""
    names = result["datasets"]
    cells = {(cell["train"], cell["test"]): cell for cell in result["cells"]}
    lines = [f"| trained on | {' | '.join(names)} |", "|---|" + len(names) * "---|"]
    for train in names:
        row = [_with_interval(cells.get((train, test))) for test in names]
        lines.append(f"| {train} | {' | '.join(row)} |")
    classes = result["class_set"]["classes"]
    about = f"UA on {', '.join(classes)}; chance {_percent(1 / len(classes))}; 95 % over speakers."
    return "\n".join([*lines, "", about])


def _with_interval(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return ""
    low, high = map(_percent, cell["ua_interval"])
    return f"{_percent(cell['ua'])} ({low} – {high})"
