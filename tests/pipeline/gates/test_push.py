import shutil
from pathlib import Path

import pytest

from pipeline.gates.blessing import bless
from pipeline.gates.evaluation import write_evaluation
from pipeline.gates.push import push
from pipeline.gates.thresholds import Verdict
from pipeline.publishing.file_hashes import Hashes
from ser_keras.errors import ExportError, SchemaError
from serving.export.layout import versions
from tests.pipeline.runs import approve, judged_export


@pytest.fixture
def judged(tmp_path):
    """(export, its evaluation, its infra validation, base)."""
    return (*judged_export(tmp_path), tmp_path / "models")


def test_a_blessed_export_becomes_the_next_version(judged):
    export, _, _, base = judged
    (base / "moma" / "4").mkdir(parents=True)
    facts = push(*judged)
    assert facts == {
        "path": str(base / "moma" / "5"),
        "version": 5,
        "sha256": Hashes().of(export),
        "new": True,
    }
    assert Hashes().of(base / "moma" / "5") == Hashes().of(export)
    assert sorted(path.name for path in (base / "moma").iterdir()) == ["4", "5"]


def test_the_same_content_again_is_left_as_it_is(judged):
    export, _, infra, base = judged
    first = push(*judged)
    assert push(*judged) == {**first, "new": False}
    assert versions(base / "moma") == [1]
    (export / "saved_model.pb").write_text("another graph")
    approve(export, infra)
    assert push(*judged)["version"] == 2
    assert (base / "moma" / "1" / "saved_model.pb").read_text() == "graph"


def test_the_model_may_have_another_name_on_the_server(judged):
    assert push(*judged, "stable")["path"].endswith("models/stable/1")


@pytest.mark.parametrize(("position", "gate"), [(1, "evaluation"), (2, "infra validation")])
def test_what_is_not_blessed_is_not_published(judged, position, gate):
    bless(judged[position], ["too slow"])
    with pytest.raises(ExportError, match=f"its {gate} is not blessed, nothing was .* too slow"):
        push(*judged)
    (judged[position] / "NOT_BLESSED").unlink()
    with pytest.raises(SchemaError, match="found no verdict"):
        push(*judged)
    assert not judged[3].exists()


def test_a_verdict_on_another_export_blesses_nothing(judged):
    (judged[0] / "saved_model.pb").write_text("changed since")
    with pytest.raises(ExportError, match="Validate this export"):
        push(*judged)
    approve(judged[0], judged[2])
    write_evaluation(judged[1], {"weights": {"s01": "other"}}, Verdict())
    with pytest.raises(ExportError, match="which the evaluation is not of"):
        push(*judged)
    assert not judged[3].exists()


def test_a_copy_that_went_wrong_is_not_published(judged, monkeypatch):
    copytree = shutil.copytree

    def incomplete_copy(source, target, *more, **options):
        copytree(source, target, *more, **options)
        Path(target, "saved_model.pb").unlink(missing_ok=True)

    monkeypatch.setattr(shutil, "copytree", incomplete_copy)
    with pytest.raises(ExportError, match=r"its copy in .* has other content"):
        push(*judged)
    assert list((judged[3] / "moma").iterdir()) == []
