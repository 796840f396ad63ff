"""`ser report RUN...`: one HTML file with all facts about runs, the same as JSON, and LaTeX.

The files depend neither on time nor on place: the same runs give the same bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ser_keras import plots
from ser_keras.files import write_bytes, write_json
from ser_keras.report.baselines import difference_in_words
from ser_keras.report.pages import html as html_page
from ser_keras.report.pages.plain import in_plain_words
from ser_keras.report.pages.run_part import run_part
from ser_keras.report.pages.words import WORDS, words_in
from ser_keras.report.percent import interval, percent, points
from ser_keras.report.runs import Run, differences, facts_of, latex_table

# What the scores are worth, and the words of the parts below.
SCORE_WORDS = {
    "UA": f"{WORDS['UA']}; of all test recordings together",
    "95 % over speakers": "where the score lies when speakers are drawn again and again; one "
    "speaker has none, and of two there is only their range",
    "baseline": "a support vector machine on the features named, tested on the same folds and "
    "track; the difference to it is scored on the same speakers",
    "chance": "the UA of guessing",
}
_WORDS_BELOW = (
    *("WA", "macro-F1", "blind", "adapted", "fold", "calibration", "temperature", "nats"),
    *("multiply-accumulates", "ours", "validation"),
)

NAMES = ("report.html", "report.json", "report.tex")


def write_report(
    runs: Sequence[Run], output: Path, baselines: Sequence[Mapping[str, Any]] = ()
) -> list[Path]:
    """Writes `report.html`, `report.json` and `report.tex`; returns their paths.

    Args:
        runs: see `report.runs.open_runs`.
        output: Path. Folder, or the path of the page, beside which the others get its name.
        baselines: results of `ser baseline`; see `report.runs.baselines_in`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    facts, pairs = facts_of(runs, baselines), differences(runs)
    page = output if output.suffix == ".html" else output / NAMES[0]
    paths = [page, page.with_suffix(".json"), page.with_suffix(".tex")]
    title = "Speech emotion recognition: " + ", ".join(run.name for run in runs)
    with TemporaryDirectory() as folder:
        parts = list(_page(runs, facts, pairs, Path(folder)))
    html_page.write_page(paths[0], title, parts)
    write_json(paths[1], {"runs": facts, "differences": pairs})
    write_bytes(paths[2], latex_table(facts).encode())
    return paths


def _page(
    runs: Sequence[Run],
    facts: Sequence[Mapping[str, Any]],
    pairs: Sequence[Mapping[str, Any]],
    folder: Path,
) -> Iterator[str]:
    yield html_page.cards(
        (fact["run"], in_plain_words(run.result, fact["baseline"]))
        for run, fact in zip(runs, facts, strict=True)
    )
    yield html_page.beside(_overview(facts, folder))
    words = SCORE_WORDS | words_in(" ".join(_WORDS_BELOW))
    yield html_page.definitions("What the words on this page mean", words)
    yield html_page.heading("Scores")
    yield _scores(facts)
    if pairs:
        yield html_page.heading("Differences")
        yield _differences(pairs)
    for run, fact in zip(runs, facts, strict=True):
        yield from run_part(run, fact, folder)


def _overview(facts: Sequence[Mapping[str, Any]], folder: Path) -> Iterator[str]:
    """Yields a picture of all scores, and one of the speakers of each corpus."""
    rows = [
        {
            "run": fact["run"],
            **{key: fact["pooled"][key] for key in ("ua", "ua_interval")},
            "speakers": fact["pooled"].get("speakers"),
            **{key: fact[key] for key in ("chance", "baseline")},
        }
        for fact in facts
    ]
    plots.scores_with_baselines(rows, folder / "scores.svg")
    yield html_page.picture(folder / "scores.svg", "UA of every run, beside baseline and chance")
    yield from _by_speaker(facts, folder)


def _scores(facts: Sequence[Mapping[str, Any]]) -> str:
    head = ["run", "UA (%)", "95 % over speakers", "baseline UA (%)", "UA above it (points)"]
    head += ["chance (%)", "WA (%)", "95 % over speakers", "macro-F1 (%)", "track", "model"]
    head += ["data", "protocol", "baseline"]
    return html_page.table(head, [_score_row(fact) for fact in facts])


def _score_row(fact: Mapping[str, Any]) -> list[str]:
    pooled, protocol, baseline = fact["pooled"], fact["protocol"], fact["baseline"]
    return [
        fact["run"],
        percent(pooled["ua"]),
        interval(pooled["ua_interval"], pooled.get("speakers"), to="to"),
        percent(baseline["ua"] if baseline else None),
        difference_in_words(baseline) or percent(None),
        percent(fact["chance"]),
        percent(pooled["wa"]),
        interval(pooled["wa_interval"], pooled.get("speakers"), to="to"),
        percent(pooled["macro_f1"]),
        fact["track"],
        fact["model"],
        f"{fact['dataset']}, {len(fact['class_set']['classes'])} classes",
        f"{protocol['name']}, {protocol['folds_run']} of {protocol['folds']} folds",
        f"{baseline['kernel']} SVM on {baseline['features']}" if baseline else "none",
    ]


def _by_speaker(facts: Sequence[Mapping[str, Any]], folder: Path) -> Iterator[str]:
    """Yields a picture of the UA of every speaker for all runs on the same data."""
    groups: dict[tuple[str, int], dict[str, dict[str, float]]] = {}
    for fact in facts:
        if fact["speakers"]:
            data = (fact["dataset"], len(fact["class_set"]["classes"]))
            scores = {name: speaker["ua"] for name, speaker in fact["speakers"].items()}
            groups.setdefault(data, {})[fact["run"]] = scores
    for (dataset, classes), scores in groups.items():
        plots.speaker_scores(scores, 1 / classes, folder / "speakers.svg")
        yield html_page.picture(folder / "speakers.svg", f"UA of every speaker of {dataset}")


def _differences(pairs: Sequence[Mapping[str, Any]]) -> str:
    rows = [[f"{pair['run']} over {pair['other']}", *_difference(pair)] for pair in pairs]
    head = ["UA", "difference (points)", "95 % over speakers", "speakers", "0 outside"]
    return html_page.table(
        head, rows, "Both runs scored on the same resampled speakers (paired bootstrap)."
    )


def _difference(pair: Mapping[str, Any]) -> list[str]:
    if "not_compared" in pair:
        return ["not compared", pair["not_compared"]]
    low, high = pair["interval"]
    decided = low > 0 or high < 0
    return [
        points(pair["ua_difference"]),
        interval(pair["interval"], pair["speakers"], signed=True, to="to"),
        str(pair["speakers"]),
        ("yes" if decided else "no") if pair["speakers"] > 2 else percent(None),
    ]
