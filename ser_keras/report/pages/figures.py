"""`ser figures RUN`: the pictures of a run as files for a paper, one column wide."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ser_keras import plots
from ser_keras.plots.picture import COLUMN_INCHES, paper_style
from ser_keras.report.baselines import track_of
from ser_keras.report.runs import NOT_RECORDED, Run, speaker_scores

FORMATS = ("pdf", "svg", "png")


def write_figures(
    runs: Sequence[Run], output: Path, formats: Sequence[str]
) -> tuple[list[tuple[Path, str]], list[str]]:
    """Writes confusion matrix, recall by speaker and calibration curve of each run.

    Args:
        runs: results of one run, one for each track.
        output: Path. Folder.
        formats: some of `FORMATS`.

    Returns:
        The path of each file with what it shows, and a sentence for each picture that could not be
        drawn.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    written, missing = [], []
    with paper_style():
        for run in runs:
            track = f"-{track_of(run.result)}" if len(runs) > 1 else ""
            for suffix in formats:
                written += list(_figures(run, output, f"{track}.{suffix}"))
            if not run.result.get("by_speaker"):
                missing.append(f"{run.name}: recall by speaker {NOT_RECORDED}.")
            if not _curves(run):
                missing.append(f"{run.name}: the calibration curve {NOT_RECORDED}.")
    return written, missing


def _figures(run: Run, output: Path, ending: str) -> Iterator[tuple[Path, str]]:
    """Draws what can be drawn of a run; yields each path with what it shows."""
    path = output / f"confusion{ending}"
    plots.confusion(run.result["pooled"]["confusion"], run.classes, path)
    yield path, "share of each true class (rows) that was given each answer, in percent"
    if speakers := speaker_scores(run.result):
        path = output / f"recall-by-speaker{ending}"
        recalls = {name: list(row["recalls"].values()) for name, row in speakers.items()}
        plots.recall_by_speaker(recalls, run.classes, path)
        yield path, "recall of each class and their mean, for each test speaker, in percent"
    if curves := _curves(run):
        path = output / f"calibration{ending}"
        size = (COLUMN_INCHES, 0.95 * COLUMN_INCHES)
        plots.reliability(curves, 1 / len(run.classes), path, size)
        yield (
            path,
            "share of right answers at each confidence, and how many answers there are",
        )


def _curves(run: Run) -> dict[str, list[dict[str, float]]]:
    """Returns the calibration curves by name, with temperature where the run was calibrated."""
    if run.calibration:
        before, after = (run.calibration[when]["reliability"] for when in ("before", "after"))
        return {"as trained": before, "with temperature": after}
    return {"as trained": curve} if (curve := run.result.get("reliability")) else {}
