"""What a search found, as a table and as one HTML file that needs nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras.files import write_bytes, write_json
from ser_keras.plots import parallel_coordinates
from ser_keras.report.pages import html
from ser_keras.report.percent import points_with_interval, ua_with_interval
from ser_keras.report.results_folder import search_path
from tuning.space import Setting
from tuning.trial import COMPLETED

# Fewer say nothing about which setting matters.
ENOUGH = 8


def settings_of(result: Mapping[str, Any]) -> list[Setting]:
    """Returns the settings of a search's result."""
    return [
        Setting(key=key, **{**fields, "values": tuple(fields.get("values", ()))})
        for key, fields in result["settings"].items()
    ]


def importance(result: Mapping[str, Any]) -> dict[str, float]:
    """Returns how much of the differences in UA each setting explains, from 1 down, 0 for none.

    By how much worse a random forest, fitted on the trials, says their UA when one setting's values
    are shuffled (Breiman 2001, Sec. 10), in shares of the sum; empty with fewer than `ENOUGH`
    trials.
    """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    trials = [trial for trial in result["trials"] if trial["status"] == COMPLETED]
    if len(trials) < ENOUGH:
        return {}
    settings = settings_of(result)
    positions = np.array([_positions(trial, settings) for trial in trials])
    scores = np.array([trial["ua"] for trial in trials])
    forest = RandomForestRegressor(200, random_state=0).fit(positions, scores)
    importance = permutation_importance(forest, positions, scores, n_repeats=20, random_state=0)
    worse = np.maximum(importance.importances_mean, 0.0)
    shares = worse / worse.sum() if worse.any() else worse
    ordered = sorted(zip(settings, shares, strict=True), key=lambda pair: -pair[1])
    return {setting.key: round(float(share), 3) for setting, share in ordered}


def _positions(trial: Mapping[str, Any], settings: Sequence[Setting]) -> list[float]:
    return [setting.position(trial["values"][setting.key]) for setting in settings]


def table(result: Mapping[str, Any], most: int | None = None) -> str:
    """Returns the trials as a Markdown table, the best first."""
    keys = list(result["settings"])
    names = [key.rsplit(".", 1)[-1] for key in keys]
    rows = [
        f"| trial | UA | {' | '.join(names)} | epochs | folds | minutes |",
        "|" + "---|" * (len(keys) + 5),
    ]
    for trial in sorted(result["trials"], key=lambda trial: -trial["ua"])[:most]:
        values = " | ".join(_short(trial["values"][key]) for key in keys)
        folds = len(trial["folds"])
        stopped = "" if trial["status"] == COMPLETED else ", stopped"
        rows.append(
            f"| {trial['trial']} | {100 * trial['ua']:.1f} | {values} | {trial['epochs']} "
            f"| {folds}{stopped} | {trial['seconds'] / 60:.1f} |"
        )
    return "\n".join(rows)


def write_report(result: Mapping[str, Any], folder: Path) -> Path:
    """Writes `search.svg` and `search.html`, which has the picture in it; returns the latter."""
    picture, settings = folder / "search.svg", settings_of(result)
    ends = [setting.values or (setting.low, setting.high) for setting in settings]
    positions = [
        [s.position(trial["values"][s.key]) for s in settings] for trial in result["trials"]
    ]
    parallel_coordinates(
        [(s.key, _short(e[0]), _short(e[-1])) for s, e in zip(settings, ends, strict=True)],
        list(zip(positions, [trial["ua"] for trial in result["trials"]], strict=True)),
        picture,
    )
    shares = importance(result)
    title = f"{result['model']} on {result['dataset']}: {len(result['trials'])} trials"
    parts = [
        html.paragraph(_about(result)),
        html.paragraph(describe_test(result) if "test" in result else ""),
        html.picture(picture, "The settings of every trial, and its UA"),
        html.heading("What the differences come from"),
        html.bullets((key, f"{share:.0%}") for key, share in shares.items())
        if shares
        else html.paragraph(f"Fewer than {ENOUGH} trials: not said."),
        html.heading("Trials"),
        html.markdown_table(table(result)),
        html.heading("Why these ranges"),
        html.bullets((setting.key, setting.why) for setting in settings),
        html.code(result["command"]),
    ]
    path = folder / "search.html"
    html.write_page(path, title, parts)
    return path


def describe_test(result: Mapping[str, Any]) -> str:
    """Returns what recipe and best settings were worth on the test parts of the search's folds."""
    test = result["test"]
    speakers = test["best"]["speakers"]
    scores = ", ".join(f"{name} {ua_with_interval(test[name])}" for name in ("recipe", "best"))
    tested = "one speaker" if speakers == 1 else f"{speakers} speakers"
    return (
        f"Test parts of {', '.join(result['folds'])}, scored once, {tested}: UA of {scores}; "
        f"difference {points_with_interval(test['difference'], speakers)}."
    )


def keep(result: Mapping[str, Any], folder: Path, results: Path) -> Path:
    """Copies a search's result, picture and best recipe to `results`; returns the result's path."""
    path = search_path(results, result)
    write_bytes(path.with_suffix(".svg"), (folder / "search.svg").read_bytes())
    # A recipe is called after its file, and the model's own recipe has the model's name.
    write_bytes(path.with_name(f"{path.stem}-best.yaml"), (folder / "best.yaml").read_bytes())
    write_json(path, result)
    return path


def _about(result: Mapping[str, Any]) -> str:
    epochs = f", {result['trial_epochs']} epochs each" if result["trial_epochs"] else ""
    return (
        f"Strategy {result['strategy']}, seed {result['seed']}, recipe {result['recipe']}{epochs}. "
        f"UA is the mean over the validation speakers of {', '.join(result['folds'])} of "
        f"{result['protocol']['name']}; no test part was trained on or scored. Trials below the "
        f"median after a fold were stopped. Best: {result['best']}."
    )


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
