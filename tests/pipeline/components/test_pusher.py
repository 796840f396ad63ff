import json

import pytest

from pipeline.components.pusher import COMPONENT
from pipeline.gates.blessing import bless
from ser_keras.errors import ConfigError, ExportError
from tests.pipeline.components.tasks import run
from tests.pipeline.runs import judged_export


@pytest.fixture
def inputs(tmp_path):
    return dict(zip(("export", "evaluation", "blessing"), judged_export(tmp_path), strict=True))


def test_what_is_blessed_twice_is_published_and_written_down(inputs, tmp_path):
    base = tmp_path / "models"
    result, outputs = run(COMPONENT, inputs, tmp_path / "1", base=str(base), name="stable")
    assert result.facts["path"] == str(base / "stable" / "1")
    assert json.loads((outputs["pushed"] / "pushed.json").read_text()) == result.facts
    again, _ = run(COMPONENT, inputs, tmp_path / "2", base=str(base), name="stable")
    assert again.facts == {**result.facts, "new": False}


@pytest.mark.parametrize("judge", ["evaluation", "blessing"])
def test_what_one_of_the_two_did_not_bless_is_not(inputs, tmp_path, judge):
    bless(inputs[judge], ["too slow"])
    with pytest.raises(ExportError, match="is not blessed, nothing was published: too slow"):
        run(COMPONENT, inputs, tmp_path / "1", base=str(tmp_path / "models"))
    assert not (tmp_path / "models").exists()


def test_the_folder_of_the_server_is_required(inputs, tmp_path):
    with pytest.raises(ConfigError, match="pusher: base is missing"):
        run(COMPONENT, inputs, tmp_path)
