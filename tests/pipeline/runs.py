"""Runs and exports as training leaves them, without training: folders with known scores."""

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


def write_run(root: Path, rows, said, fold="speaker-s01", weights=WEIGHTS, protocol="made-loso"):
    """Writes a run of one fold that says `said` of the rows.

    `said`: (rows, 4) probabilities.
    """
    folder = root / "folds" / fold
    folder.mkdir(parents=True)
    np.savez(
        folder / "scores.npz",
        keys=np.array([row.key for row in rows]),
        classes=np.array([CLASSES.index(row.label) for row in rows]),
        probabilities=np.asarray(said, np.float32),
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


def sure(rows, wrong=()):
    """Probabilities of 0.7 for the right class; for the next one where a place is in `wrong`."""
    said = np.full((len(rows), len(CLASSES)), 0.1)
    for place, row in enumerate(rows):
        right = CLASSES.index(row.label)
        said[place, (right + 1) % len(CLASSES) if place in wrong else right] = 0.7
    return said


def judged_export(root: Path):
    """Returns (export, its evaluation, its infra validation), both blessed.

    A folder of files is an export here: nobody loads it.
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
