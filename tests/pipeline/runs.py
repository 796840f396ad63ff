"""Folders of runs and exports with known scores, as training and export write them."""

import json
from pathlib import Path

import numpy as np

from pipeline.gates.blessing import bless
from pipeline.gates.evaluation import write_evaluation
from pipeline.gates.thresholds import Verdict
from pipeline.publishing.file_hashes import Hashes
from ser_keras.labels import CLASS_SETS

CLASSES = CLASS_SETS["synthetic4"].classes
WEIGHTS = "w" * 64


def write_run(
    root: Path, rows, probabilities, fold="speaker-s01", weights=WEIGHTS, protocol="made-loso"
):
    """Writes a run of one fold with the given probabilities, (rows, 4)."""
    folder = root / "folds" / fold
    folder.mkdir(parents=True)
    np.savez(
        folder / "scores.npz",
        keys=np.array([row.key for row in rows]),
        classes=np.array([CLASSES.index(row.label) for row in rows]),
        probabilities=np.asarray(probabilities, np.float32),
    )
    record = {"fold": fold, "weights_sha256": weights}
    (folder / "fold.json").write_text(json.dumps(record))
    result = {
        "model": "moma",
        "dataset": "made",
        "class_set": {"classes": list(CLASSES)},
        "protocol": {"name": protocol},
        "folds": [record],
    }
    (root / "result.json").write_text(json.dumps(result))
    return root


def probabilities_of(rows, wrong=()):
    """Returns probabilities of 0.7 for the right class, or for the next one in the `wrong` rows."""
    probabilities = np.full((len(rows), len(CLASSES)), 0.1)
    for number, row in enumerate(rows):
        right = CLASSES.index(row.label)
        probabilities[number, (right + 1) % len(CLASSES) if number in wrong else right] = 0.7
    return probabilities


def judged_export(root: Path):
    """Returns (export, its evaluation, its infra validation), both blessed.

    The export is only a folder of files, because it is never loaded.
    """
    export = root / "export"
    about = {"name": "moma", "weights_sha256": WEIGHTS}
    for name, text in (
        ("saved_model.pb", "graph"),
        ("variables/variables.index", "index"),
        ("assets.extra/model.json", json.dumps(about)),
    ):
        (export / name).parent.mkdir(parents=True, exist_ok=True)
        (export / name).write_text(text)
    write_evaluation(root / "evaluation", {"weights": {"s01": WEIGHTS}}, Verdict())
    approve(export, root / "infra")
    return export, root / "evaluation", root / "infra"


def approve(export: Path, infra: Path):
    """Blesses an export as it is now."""
    bless(infra, [])
    (infra / "infra.json").write_text(json.dumps({"sha256": Hashes().of(export)}))
