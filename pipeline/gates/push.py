"""Publishing a blessed export where servers look for it: one rename, or nothing."""

import json
import shutil
from pathlib import Path
from typing import Any

from pipeline.gates.blessing import reasons_against
from pipeline.gates.evaluation import load_evaluation
from pipeline.gates.infra import INFRA
from pipeline.gates.infra_requests import description_of
from pipeline.publishing.file_hashes import Hashes
from ser_keras.errors import ExportError
from serving.export.layout import new_version, versions


def push(export: Path, evaluation: Path, infra: Path, base: Path, name: str = "") -> dict[str, Any]:
    """Publishes an export as the next `<base>/<name>/<version>`.

    Args:
        export: folder of the version that was judged.
        evaluation: folder of its model's evaluation.
        infra: folder of its infra validation.
        base: folder of the server's models.
        name: str. What the server calls the model; the export's own when empty.

    Returns:
        `path` of the version, absolute, `version`, `sha256` of its content, and `new`: False where
        the newest version is this very content, which is then left as it is.

    Raises:
        ExportError: one of the two is not blessed, or is a verdict on something else.
    """
    for what, folder in (("evaluation", evaluation), ("infra validation", infra)):
        if reasons := reasons_against(folder):
            raise ExportError(
                f"{export}: its {what} is not blessed, nothing was published: {'; '.join(reasons)}."
            )
    about = description_of(export)
    content = Hashes().of(export)
    judged = json.loads((infra / INFRA).read_text(encoding="utf-8"))["sha256"]
    if judged != content:
        raise ExportError(
            f"{export}: found content {content[:12]}, the infra validation is of {judged[:12]}; "
            "nothing was published. Validate this export."
        )
    if about["weights_sha256"] not in load_evaluation(evaluation)["weights"].values():
        raise ExportError(
            f"{export}: found weights {about['weights_sha256'][:12]}, which the evaluation is not "
            "of; nothing was published. Evaluate the run that was exported."
        )
    folder = base.absolute() / (name or about["name"])
    known = versions(folder)
    if known and Hashes().of(newest := folder / str(known[-1])) == content:
        return {"path": str(newest), "version": known[-1], "sha256": content, "new": False}
    with new_version(folder) as (staged, final):
        shutil.copytree(export, staged, dirs_exist_ok=True)
        if Hashes().of(staged) != content:
            raise ExportError(
                f"{export}: its copy in {folder} has other content; nothing was published. Check "
                "the disk and push again."
            )
    return {"path": str(final), "version": int(final.name), "sha256": content, "new": True}
