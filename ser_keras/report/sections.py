"""The parts of Markdown files that are written from a folder of results, between markers."""

from pathlib import Path

from ser_keras.errors import SchemaError
from ser_keras.files import write_text
from ser_keras.report.attention import describe_attended
from ser_keras.report.benchmarks import BENCHMARKS
from ser_keras.report.errors_by_class import errors_tables
from ser_keras.report.results_folder import Results
from ser_keras.report.summary import crosscorpus_table, training_cost
from ser_keras.report.tables import (
    ablations_table,
    baselines_table,
    best_table,
    enrolments_table,
    searches_table,
    studies_table,
    table_of,
)


def write_sections(path: Path, sections: dict[str, str]) -> bool:
    """Writes sections between their markers and returns whether that changed the file.

    Args:
        path: Path. A Markdown file. Sections without markers in it are left out.
        sections: text by name, see `sections_of`.

    Raises:
        SchemaError: the file has no markers, or a marker without its end.
    """
    text = path.read_text(encoding="utf-8")
    changed, written = text, 0
    for name, body in sections.items():
        begin, end = markers(name)
        before, begin_marker, rest = changed.partition(begin)
        _, end_marker, after = rest.partition(end)
        if begin_marker and end_marker:
            changed = f"{before}{begin}\n{body}\n{end}{after}"
            written += 1
        elif begin_marker:
            raise SchemaError(f"{path}: found {begin!r}, expected {end!r} after it. Put it there.")
    if not written:
        begin, end = markers("results")
        raise SchemaError(f"{path}: found no pair of markers; put {begin!r} and {end!r} there.")
    if changed == text:
        return False
    write_text(path, changed)
    return True


def markers(name: str) -> tuple[str, str]:
    """Returns what stands before and after a section."""
    return f"<!-- {name}: written by `ser report --readme` -->", f"<!-- end of {name} -->"


def sections_of(results: Results) -> dict[str, str]:
    """Returns the text of every section by name; a section without results is left out.

    Args:
        results: see `read_results`.
    """
    sections = {"results": best_table(results), "all results": table_of(results)}
    if results["baseline"]:
        sections["baselines"] = baselines_table(results)
    if errors := errors_tables(results):
        sections["errors"] = errors
    if cost := training_cost(results):
        sections["cost"] = cost
    if results["enrolment"]:
        sections["enrolment"] = enrolments_table(results["enrolment"].values())
    if searches := [search for search in results["search"].values() if "test" in search]:
        sections["searches"] = searches_table(searches)
    if results["study"]:
        sections["studies"] = studies_table(results["study"].values())
    if results["ablation"]:
        sections["ablations"] = ablations_table(results["ablation"].values())
    if results["attended"]:
        sections["attended"] = "\n\n".join(map(describe_attended, results["attended"].values()))
    if results["crosscorpus"]:
        matrices = results["crosscorpus"].values()
        sections["crosscorpus"] = "\n\n".join(map(crosscorpus_table, matrices))
    for name, describe in BENCHMARKS.items():
        for benchmark in results[name].values():
            sections[name] = describe(benchmark)
    return sections
