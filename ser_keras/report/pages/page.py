"""`ser report RUN...`: one HTML file with all facts about runs, the same as JSON, and LaTeX.

The files depend neither on time nor on place: the same runs give the same bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ser_keras import metrics, plots
from ser_keras.files import write_bytes, write_json
from ser_keras.report.baselines import difference_in_words
from ser_keras.report.pages import html as html_page
from ser_keras.report.percent import interval, percent, points
from ser_keras.report.runs import NOT_RECORDED, Run, differences, facts_of, latex_table
from ser_keras.report.summary import cost_in_words, describe, describe_members

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
    yield _scores(facts)
    yield html_page.paragraph(
        "UA is the mean recall over classes, WA the share of correct utterances, both pooled over "
        "all test utterances. The interval comes from resampling whole speakers. On the blind "
        "track nothing is known of a test speaker; on the adapted track the speaker's own "
        "recordings normalise the features, without labels. The baseline is a support vector "
        "machine on the functionals named, tested on the same folds and track; the difference "
        "to it is scored on the same resampled speakers."
    )
    yield from _by_speaker(facts, folder)
    if pairs:
        yield html_page.heading("Differences")
        yield _differences(pairs)
    for run, fact in zip(runs, facts, strict=True):
        yield from _run(run, fact, folder)


def _scores(facts: Sequence[Mapping[str, Any]]) -> str:
    head = ["run", "model", "data", "protocol", "track", "UA (%)", "95 % over speakers", "WA (%)"]
    head += ["95 % over speakers", "macro-F1 (%)", "chance (%)", "baseline UA (%)", "baseline"]
    head += ["UA above it (points)"]
    return html_page.table(head, [_score_row(fact) for fact in facts])


def _score_row(fact: Mapping[str, Any]) -> list[str]:
    pooled, protocol, baseline = fact["pooled"], fact["protocol"], fact["baseline"]
    return [
        fact["run"],
        fact["model"],
        f"{fact['dataset']}, {len(fact['class_set']['classes'])} classes",
        f"{protocol['name']}, {protocol['folds_run']} of {protocol['folds']} folds",
        fact["track"],
        percent(pooled["ua"]),
        interval(pooled["ua_interval"], pooled.get("speakers"), to="to"),
        percent(pooled["wa"]),
        interval(pooled["wa_interval"], pooled.get("speakers"), to="to"),
        percent(pooled["macro_f1"]),
        percent(fact["chance"]),
        percent(baseline["ua"] if baseline else None),
        f"{baseline['kernel']} SVM on {baseline['features']}" if baseline else "none",
        difference_in_words(baseline) or percent(None),
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


def _run(run: Run, fact: Mapping[str, Any], folder: Path) -> Iterator[str]:
    result = run.result
    yield html_page.heading(f"{run.name}: {fact['model']} on {fact['dataset']}")
    for line in describe(result).splitlines():
        yield html_page.paragraph(line)
    yield from _members(result)
    yield html_page.heading("Confusions", 3)
    yield _confusion(run)
    yield html_page.heading("Recall by speaker", 3)
    yield _speakers(run, fact)
    yield html_page.heading("Calibration", 3)
    yield from _calibration(run, fact, folder)
    yield html_page.heading("Learning curves", 3)
    plots.learning_curves(result, folder / "curves.svg")
    yield html_page.picture(folder / "curves.svg", f"Learning curves of {run.name}, by fold")
    yield html_page.heading("Audit", 3)
    yield html_page.table(
        ["check", "severity", "finding"],
        [[finding["check"], finding["severity"], finding["message"]] for finding in fact["audit"]],
    )
    yield html_page.heading("Data", 3)
    yield html_page.bullets(_data(fact))
    yield html_page.heading("Cost", 3)
    yield html_page.bullets(_cost(fact))
    yield html_page.heading("To repeat it", 3)
    yield html_page.code(fact["command"])
    versions = {"commit": fact["commit"], **fact["versions"]}
    yield html_page.paragraph(", ".join(f"{name} {version}" for name, version in versions.items()))


def _members(result: Mapping[str, Any]) -> Iterator[str]:
    """Yields the members of an ensemble; nothing for a run of one model."""
    if "members" not in result:
        return
    table, _, sentences = describe_members(result).partition("\n\n")
    yield html_page.heading("Members", 3)
    yield html_page.markdown_table(table)
    for line in sentences.splitlines():
        yield html_page.paragraph(line)


def _confusion(run: Run) -> str:
    counts = run.result["pooled"]["confusion"]
    rows = []
    for name, row, recall in zip(run.classes, counts, metrics.recalls_of(counts), strict=True):
        total = sum(row)
        shares = [(str(count), count / total if total else None) for count in row]
        rows.append((name, [*shares, (percent(recall) if total else "absent", None)]))
    head = ["predicted:", *run.classes, "recall (%)"]
    return html_page.shaded_table(
        head, rows, "Utterances, true classes in the rows; darker: larger share of the row."
    )


def _speakers(run: Run, fact: Mapping[str, Any]) -> str:
    if not fact["speakers"]:
        return html_page.paragraph(f"Speakers: {NOT_RECORDED}.")
    rows = [
        (
            speaker,
            [
                (str(scores["utterances"]), None),
                *((percent(share), share) for share in (scores["ua"], *scores["recalls"].values())),
            ],
        )
        for speaker, scores in fact["speakers"].items()
    ]
    head = ["speaker", "utterances", "UA", *run.classes]
    return html_page.shaded_table(head, rows, "Recall of each test speaker (%); darker: larger.")


def _calibration(run: Run, fact: Mapping[str, Any], folder: Path) -> Iterator[str]:
    calibration = fact["calibration"]
    error = fact["pooled"]["expected_calibration_error"]
    yield html_page.paragraph(
        f"Expected calibration error of all test utterances: {100 * error:.1f} points."
    )
    if calibration:
        before, after = calibration["before"], calibration["after"]
        curves = {"as trained": before["reliability"], "with temperature": after["reliability"]}
        head = ["test utterances of these folds", "calibration error (points)"]
        yield html_page.table(
            [*head, "cross-entropy (nats)"],
            [
                [
                    name,
                    f"{100 * scores['expected_calibration_error']:.1f}",
                    f"{scores['cross_entropy']:.3f}",
                ]
                for name, scores in zip(curves, (before, after), strict=True)
            ],
        )
        yield html_page.table(
            ["fold", "temperature", "fitted on"],
            [
                [name, f"{fold['temperature']:.2f}", fold["fitted_on"]]
                for name, fold in calibration["folds"].items()
            ],
        )
    elif fact["reliability"]:
        curves = {"as trained": fact["reliability"]}
    else:
        yield html_page.paragraph(f"The curve: {NOT_RECORDED}.")
        return
    plots.reliability(curves, fact["chance"], folder / "reliability.svg")
    yield html_page.picture(folder / "reliability.svg", f"Calibration curve of {run.name}")


def _data(fact: Mapping[str, Any]) -> list[tuple[str, str]]:
    data, features, protocol = fact["data"], fact["features"], fact["protocol"]
    shared = "shared" if protocol["shares_speakers"] else "not shared"
    source = " ".join(text for text in (data["citation"], data["home"]) if text)
    return [
        ("corpus", f"{data['title']} ({fact['dataset']}). {source}".strip()),
        ("licence", data["licence"] or "not known; ask the owner"),
        ("classes", ", ".join(fact["class_set"]["classes"])),
        ("features", f"{features['spec_name']}, fingerprint {features['fingerprint']}"),
        ("recordings", f"{features['records']} used, {features['dead']} unusable"),
        ("protocol", f"{protocol['name']}, seed {protocol['seed']}, hash {protocol['sha256']}"),
        ("speakers", f"{shared} between training and test; {fact['pooled']['speakers']} tested"),
    ]


def _cost(fact: Mapping[str, Any]) -> list[tuple[str, str]]:
    cost = fact["cost"]
    memory = cost.get("peak_memory_bytes")
    return [
        ("parameters", f"{cost['parameters']:,}"),
        (
            "multiply-accumulates",
            f"{cost['multiply_accumulates']:,} for an utterance of {cost['at_frames']} frames",
        ),
        ("training", f"{cost_in_words(cost)} for {len(fact['folds'])} folds"),
        ("memory", "not recorded" if memory is None else f"{memory / 1e6:,.0f} MB at most"),
        ("weights", f"{fact['weights']['initialisation']} at the start"),
    ]
