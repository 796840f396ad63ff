"""The part of a report about one run: where it errs, calibration, curves, audit, data, cost."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ser_keras import metrics, plots
from ser_keras.report.pages import html as html_page
from ser_keras.report.percent import percent
from ser_keras.report.runs import NOT_RECORDED, Run
from ser_keras.report.summary import cost_in_words, describe, describe_members


def run_part(run: Run, fact: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Yields the part of one run.

    Args:
        run: see `report.runs.open_runs`.
        fact: see `report.runs.facts_of`.
        folder: Path. For the pictures, until they are in the page.
    """
    result = run.result
    yield html_page.heading(f"{run.name}: {fact['model']} on {fact['dataset']}")
    for line in describe(result).splitlines():
        yield html_page.paragraph(line)
    yield from _members(result)
    confusions = [html_page.heading("Confusions", 3), _confusion(run)]
    speakers = [html_page.heading("Recall by speaker", 3), _speakers(run, fact)]
    yield html_page.beside("".join(part) for part in (confusions, speakers))
    plots.learning_curves(result, folder / "curves.svg")
    curves = html_page.picture(folder / "curves.svg", f"Learning curves of {run.name}, by fold")
    calibration = [html_page.heading("Calibration", 3), *_calibration(run, fact, folder)]
    learning = [html_page.heading("Learning curves", 3), curves]
    yield html_page.beside("".join(part) for part in (calibration, learning))
    data = [html_page.heading("Data", 3), html_page.bullets(_data(fact))]
    cost = [html_page.heading("Cost", 3), html_page.bullets(_cost(fact))]
    yield html_page.beside("".join(part) for part in (data, cost))
    yield html_page.heading("Audit", 3)
    yield html_page.table(
        ["check", "severity", "finding"],
        [[finding["check"], finding["severity"], finding["message"]] for finding in fact["audit"]],
    )
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
        head,
        rows,
        "Utterances, true classes in the rows; stronger colour: larger share of the row.",
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
    return html_page.shaded_table(head, rows, "Recall of each test speaker (%).")


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
