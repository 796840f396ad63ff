"""The gate on an export that adapts to speakers: what it asks for, and what it compares with."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.gates import infra, infra_requests
from pipeline.gates.infra_requests import Request
from tests.pipeline.runs import WEIGHTS, probabilities_of, write_run

ROWS = [SimpleNamespace(key=f"k{n}", label="sad") for n in range(3)]


@pytest.mark.parametrize("track", ["adapted", "blind"])
def test_answers_without_statistics_are_compared_with_those_of_the_blind_track(track, tmp_path):
    own, blind = probabilities_of(ROWS), probabilities_of(ROWS, wrong=(0, 1, 2))
    run = write_run(tmp_path / "run", ROWS, own)
    folder = run / "folds" / "speaker-s01"
    with np.load(folder / "scores.npz") as stored:
        np.savez(folder / "scores-blind.npz", **{**stored, "probabilities": blind})
    record = json.loads((folder / "fold.json").read_text()) | {"track": track}
    (folder / "fold.json").write_text(json.dumps(record))
    description = {"fold": "speaker-s01", "weights_sha256": WEIGHTS}
    answers = infra_requests._recorded_answers(tmp_path, description, run)
    expected = blind if track == "adapted" else own.astype(np.float32)
    np.testing.assert_array_equal(np.stack([answers[row.key] for row in ROWS]), expected)


@pytest.mark.parametrize("signature", ["enrol", "enrol_embedding", "front_end"])
def test_a_signature_that_gives_statistics_needs_no_probabilities(signature):
    request = Request("warm-up", signature, {"waveform": np.zeros((1, 9), np.float32)})
    answer = {"outputs": {"frame_statistics": [[1.0, 0.0, 1.0]]}, "not_finite": []}
    assert [*infra._answer_faults(request, answer)] == []
    broken = answer | {"not_finite": ["frame_statistics"]}
    assert [*infra._answer_faults(request, broken)] == [
        "frame_statistics: found values that are not finite"
    ]
    adapted = Request("warm-up", "adapted", request.inputs)
    assert [*infra._answer_faults(adapted, answer)] == ["found no classes, label, probabilities"]
