"""A small export with the files that `ser export` lays beside it, for those who explain models."""

import json
import shutil
from pathlib import Path

from serving.export.map_geometry import map_geometry
from serving.export.model_card import model_card
from serving.export.signatures import Served
from serving.export.trust.hashes import write_hashes
from tests.serving import exports


def described(served: Served, folder: Path, base: Path) -> Path:
    """Returns a copy `<base>/<name>` of a model's folder that says what the model is.

    Args:
        served: what is exported.
        folder: `<somewhere>/<name>`, with version 1; of `exports.publish`.
        base: where the copy goes.
    """
    copy = base / folder.name
    shutil.copytree(folder, copy)
    _, options, segments = exports.SYSTEMS[served.model.name]
    about = {
        "name": folder.name,
        "model": served.model.name,
        "classes": list(served.classes),
        "sample_rate_hz": exports.RATE,
        "spec": served.spec.to_dict(),
        "map_geometry": map_geometry(served.model).to_dict(),
        "streams": served.streams,
        "dataset": "emodb",
        "corpus": "emodb",
        "fold": "speaker-03",
        "protocol": "emodb-loso",
        "shares_speakers": False,
        "fold_scores": {"ua": 0.61, "wa": 0.63},
        "pooled": {},
        "calibration": {"temperature": 1.0, "fitted_on": ""},
        "sizes": {"train": 290, "test": 49},
        "parameters": served.model.count_params(),
        "weights_sha256": "0",
        "config": {
            "model": {"options": options},
            "batch": {"segment_frames": segments.frames, "test_hop": segments.hop},
        },
        "versions": {},
        "checked": {},
    }
    extra = copy / "1" / "assets.extra"
    (extra / "model.json").write_text(json.dumps(about), encoding="utf-8")
    (extra / "model_card.md").write_text(model_card(about), encoding="utf-8")
    write_hashes(copy / "1")
    return copy
