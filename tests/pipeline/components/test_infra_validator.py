import shutil

import pytest

from pipeline.components.infra_validator import COMPONENT
from pipeline.components.pusher import COMPONENT as PUSHER
from pipeline.gates.blessing import reasons_against
from pipeline.gates.evaluation import write_evaluation
from pipeline.gates.thresholds import Verdict
from ser_keras.errors import ExportError
from serving.server.session import LoadedModel
from tests.pipeline import exported
from tests.pipeline.components.tasks import run

pytestmark = pytest.mark.slow


def test_a_good_export_is_blessed_and_then_published_so_that_it_serves(export, tmp_path):
    version, run_folder, features, corpus = export
    inputs = {"export": version, "model": run_folder, "features": features, "corpus": corpus}
    result, outputs = run(COMPONENT, inputs, tmp_path / "1", recordings=3)
    assert not result.refusal
    assert result.facts["recorded"] == 6
    assert reasons_against(outputs["blessing"]) == []
    about = exported.weights(version)
    write_evaluation(tmp_path / "evaluation", {"weights": {exported.FOLD: about}}, Verdict())
    judged = {"export": version, "evaluation": tmp_path / "evaluation", **outputs}
    result, outputs = run(PUSHER, judged, tmp_path / "2", base=str(tmp_path / "models"))
    assert result.facts["path"] == str(tmp_path / "models" / "moma" / "1")
    assert (outputs["pushed"] / "pushed.json").is_file()
    LoadedModel(tmp_path / "models" / "moma" / "1").close()


def test_a_broken_export_is_refused_and_cannot_be_published(export, tmp_path):
    broken = shutil.copytree(export[0], tmp_path / "broken")
    next(broken.glob("variables/*.data-*")).write_bytes(b"")
    result, outputs = run(COMPONENT, {"export": broken}, tmp_path / "1")
    assert "ended with 1" in result.refusal
    write_evaluation(tmp_path / "evaluation", {"weights": {}}, Verdict())
    judged = {"export": broken, "evaluation": tmp_path / "evaluation", **outputs}
    with pytest.raises(ExportError, match="its infra validation is not blessed"):
        run(PUSHER, judged, tmp_path / "2", base=str(tmp_path / "models"))
    assert not (tmp_path / "models").exists()
