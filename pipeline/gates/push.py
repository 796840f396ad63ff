"""Publishes a blessed export in the folder of the model servers, by one rename."""

import shutil
from pathlib import Path
from typing import Any

from pipeline.gates.blessing import reasons_against
from pipeline.gates.evaluation import load_evaluation
from pipeline.gates.infra import INFRA
from pipeline.gates.infra_requests import description_of
from pipeline.publishing.file_hashes import Hashes
from ser_keras.errors import ExportError
from ser_keras.files import read_json
from serving.export.layout import model_folder, new_version, version_folders


def push(export: Path, evaluation: Path, infra: Path, base: Path, name: str = "") -> dict[str, Any]:
    """Publishes an export as the next `<base>/<name>/<version>`.

    Args:
        export: folder of the version that was judged.
        evaluation: folder of its model's evaluation.
        infra: folder of its infra validation.
        base: folder of the server's models.
        name: str. Name of the model on the server; the export's own name when empty.

    Returns:
        `path` of the version, absolute, `version`, `sha256` of its content, and `new`: False if the
        newest version has the same content and was left as it is.

    Raises:
        ExportError: evaluation or infra validation is not blessed, or is not of this export.
    """
    for gate, folder in (("evaluation", evaluation), ("infra validation", infra)):
        if reasons := reasons_against(folder):
            raise ExportError(
                f"{export}: its {gate} is not blessed, nothing was published: {'; '.join(reasons)}."
            )
    description = description_of(export)
    content_sha256 = Hashes().of(export)
    remedy = "Remove its folder and run the pipeline again."
    judged = read_json(infra / INFRA, "the infra validation", remedy, keys=["sha256"])["sha256"]
    if judged != content_sha256:
        raise ExportError(
            f"{export}: found content {content_sha256[:12]}, the infra validation is of "
            f"{judged[:12]}; nothing was published. Validate this export."
        )
    if description["weights_sha256"] not in load_evaluation(evaluation)["weights"].values():
        raise ExportError(
            f"{export}: found weights {description['weights_sha256'][:12]}, which the evaluation "
            "is not of; nothing was published. Evaluate the run that was exported."
        )
    folder = model_folder(base.absolute(), name or description["name"])
    published = version_folders(folder) if folder.is_dir() else {}
    newest = max(published, default=0)
    if published and Hashes().of(published[newest]) == content_sha256:
        return {
            "path": str(published[newest]),
            "version": newest,
            "sha256": content_sha256,
            "new": False,
        }
    with new_version(folder) as (staged, final):
        shutil.copytree(export, staged, dirs_exist_ok=True)
        if Hashes().of(staged) != content_sha256:
            raise ExportError(
                f"{export}: its copy in {folder} has other content; nothing was published. Check "
                "the disk and push again."
            )
    return {"path": str(final), "version": int(final.name), "sha256": content_sha256, "new": True}
